/**
 * What every report is framed by. Invariant: the file loads nothing (its content security policy
 * forbids it and allows only the one style and one script whose digests it names), and what a run
 * is called or holds is text wherever it appears.
 */
import { createHash } from 'node:crypto';
import { html, type Markup, raw } from './markup.js';
import { pageScript } from './script.js';
import { pageStyles } from './styles.js';

export interface Section {
  readonly id: string;
  readonly title: string;
  readonly content: Markup;
}

export interface FramedPage {
  readonly name: string;
  /** Version. */
  readonly reprise: string;
  /** Below the name. */
  readonly line: string;
  /** What a reader wants first. */
  readonly head: Markup;
  readonly sections: readonly Section[];
  /** Of the run's folder, those with the figures in full. */
  readonly files: string;
}

/** The page: self-contained HTML that needs no network, for paper and phones too. */
export function framedPage({ name, reprise, line, head, sections, files }: FramedPage): string {
  const page = html`<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Reprise ${reprise}">
<title>${name}: Reprise report</title>
<link rel="icon" href="data:,">
<style>${raw(pageStyles)}</style>
</head>
<body>
<header>
<p class="kicker">Reprise report</p>
<h1>${name}</h1>
<p class="muted">${line}</p>
${head}
<nav aria-label="Sections"><ul>${sections.map(
    ({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`,
  )}</ul></nav>
</header>
<main>
${sections.map(
  ({ id, title, content }) =>
    html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>${content}</section>\n`,
)}</main>
<footer class="muted">Made by Reprise ${reprise}. ${files} in the run folder hold the figures in full.</footer>
<script>${raw(pageScript)}</script>
</body>
</html>
`;
  return `<!doctype html>\n${page}`;
}

function policy(): string {
  return [
    "default-src 'none'",
    `style-src '${digest(pageStyles)}'`,
    `script-src '${digest(pageScript)}'`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

function digest(text: string): string {
  return `sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}`;
}
