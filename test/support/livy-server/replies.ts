/** How the test server sends an answer: whole, or spoilt on the socket as a fault asks. */
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { Answer } from './answers.js';
import type { FaultAction } from './faults.js';

/** The whole answer, with a length that is right. */
export function reply(
  response: ServerResponse,
  answer: Answer,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = answer.bytes ?? Buffer.from(answer.body);
  response.writeHead(answer.status, {
    'Content-Type': answer.type ?? 'application/json;charset=utf-8',
    'Content-Length': bytes.length,
    ...headers,
  });
  response.end(bytes);
}

/** The answer, spoilt as the fault says. */
export async function replyBadly(
  response: ServerResponse,
  answer: Answer,
  fault: FaultAction,
): Promise<void> {
  const { socket } = response;
  const bytes = answer.bytes ?? Buffer.from(answer.body);
  const head = (length: number, extra = ''): string =>
    `HTTP/1.1 ${answer.status} X\r\nContent-Type: application/json\r\n${extra}Content-Length: ${length}\r\n\r\n`;
  switch (fault.kind) {
    case 'drop-after':
      socket?.destroy();
      return;
    case 'delay':
      await new Promise((resolve) => setTimeout(resolve, fault.ms));
      return reply(response, answer);
    case 'half-json':
      return reply(response, { ...answer, body: bytes.subarray(0, bytes.length / 2).toString() });
    case 'short-body':
      socket?.end(head(bytes.length) + bytes.subarray(0, bytes.length / 2).toString());
      return;
    case 'wrong-length':
      socket?.end(head(Math.floor(bytes.length / 3)) + answer.body);
      return;
    case 'gzip-bomb': {
      const bomb = gzipSync(Buffer.alloc(fault.bytes));
      socket?.write(head(bomb.length, 'Content-Encoding: gzip\r\n'));
      socket?.end(bomb);
      return;
    }
    case 'drip': {
      socket?.write(head(1_000_000));
      const timer = setInterval(() => socket?.write(' '), fault.everyMs);
      socket?.on('close', () => clearInterval(timer));
      return;
    }
  }
}
