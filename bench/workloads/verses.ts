/**
 * Verses in English and Spanish with the vectors of their words. Texts are the King James Version
 * and Reina-Valera of 1909, SWORD modules of Debian whose verses are numbered alike: a block of zlib
 * a book, and for each verse the block, the place in it and the length. Vectors are GloVe's; those of
 * these words are packed beside the file they come from, which takes 10 s and 1 GB to parse.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { replaceFile } from '../../driver/support/replace-file.js';
import { bringData, bringDebian } from '../bring-data.js';

export interface Verses {
  /** English words, the most frequent first. */
  readonly words: readonly string[];
  /** Spanish words, the most frequent first. */
  readonly targets: readonly string[];
  /** Numbers of the words of a verse, in order. */
  readonly english: readonly Int32Array[];
  readonly spanish: readonly Int32Array[];
  /** [words, dimensions]; zeros for words that GloVe has not. */
  readonly vectors: Float32Array;
}

export const DIMENSIONS = 100;

const MODULES = [
  { pack: 'sword-text-kjv=14.3-1', folder: 'engKJV2006eb' },
  { pack: 'sword-text-sparv=2.60-1', folder: 'spaRV1909eb' },
] as const;

/** 31,084 verses, 792,264 English words of 12,458. */
export async function alignedVerses(): Promise<Verses> {
  const texts: string[][] = [];
  for (const { pack, folder } of MODULES) {
    const root = await bringDebian(pack);
    const path = join(root, 'usr/share/sword/modules/texts/ztext', folder);
    texts.push([...versesOf(join(path, 'ot')), ...versesOf(join(path, 'nt'))]);
  }
  const [english, spanish] = texts.map((text) => text.map(wordsOf)) as [string[][], string[][]];
  const both = english.flatMap((own, i) => (own.length > 0 && spanish[i]!.length > 0 ? [i] : []));
  const from = numbered(both.map((i) => english[i]!));
  const to = numbered(both.map((i) => spanish[i]!));
  return {
    words: from.words,
    targets: to.words,
    english: from.texts,
    spanish: to.texts,
    vectors: await vectorsOf(from.words),
  };
}

/** Texts of a testament by number, headings among them as empty texts. */
function versesOf(path: string): string[] {
  const [blocks, verses, cells] = ['bzs', 'bzv', 'bzz'].map((end) => readFileSync(`${path}.${end}`)) as [Buffer, Buffer, Buffer]; // biome-ignore format: one line
  const texts: Buffer[] = [];
  for (let at = 0; at < blocks.length; at += 12) {
    const [start, size] = [blocks.readUInt32LE(at), blocks.readUInt32LE(at + 4)];
    texts.push(size === 0 ? Buffer.alloc(0) : inflateSync(cells.subarray(start, start + size)));
  }
  return Array.from({ length: verses.length / 10 }, (_, i) => {
    const start = verses.readUInt32LE(10 * i + 4);
    const end = start + verses.readUInt16LE(10 * i + 8);
    return texts[verses.readUInt32LE(10 * i)]!.subarray(start, end).toString('utf8');
  });
}

/** Runs of letters in lower case, of OSIS without notes and headings. */
function wordsOf(osis: string): string[] {
  const text = osis.replace(/<(note|title)\b.*?<\/\1>/gs, ' ').replace(/<[^>]*>/g, '');
  return text.toLowerCase().match(/\p{L}+/gu) ?? [];
}

function numbered(texts: readonly (readonly string[])[]): { words: string[]; texts: Int32Array[] } {
  const counts = new Map<string, number>();
  for (const word of texts.flat()) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)! || (a < b ? -1 : 1)); // biome-ignore format: one line
  const numberOf = new Map(words.map((word, i) => [word, i]));
  return {
    words,
    texts: texts.map((text) => Int32Array.from(text, (word) => numberOf.get(word)!)),
  };
}

async function vectorsOf(words: readonly string[]): Promise<Float32Array> {
  const path = await bringData('glove');
  const digest = createHash('sha256').update(words.join(' ')).digest('hex').slice(0, 16);
  const packed = join(dirname(path), `words-${digest}.f32`);
  if (!existsSync(packed)) {
    const { vectors } = JSON.parse(readFileSync(path, 'utf8')) as {
      vectors: Readonly<Record<string, readonly number[]>>;
    };
    const all = new Float32Array(words.length * DIMENSIONS);
    for (const [i, word] of words.entries()) {
      const own = Object.hasOwn(vectors, word) ? vectors[word]! : [];
      all.set(own.slice(0, DIMENSIONS), i * DIMENSIONS);
    }
    await replaceFile(packed, new Uint8Array(all.buffer));
  }
  return new Float32Array(Uint8Array.from(readFileSync(packed)).buffer);
}
