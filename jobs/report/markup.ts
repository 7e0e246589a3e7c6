/**
 * HTML by tagged template. Invariant: whatever is interpolated into `html` is escaped unless it is
 * `Markup` already, so a run, column or feature name can never become a tag. `raw` is for text this
 * folder made itself.
 */

/** A piece of finished HTML. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

export type TemplateValue = Markup | string | number | null | undefined | readonly TemplateValue[];

/** HTML from a template: strings and numbers are escaped, arrays joined, null left out. */
export function html(strings: TemplateStringsArray, ...values: readonly TemplateValue[]): Markup {
  let text = strings[0] ?? '';
  for (let i = 0; i < values.length; i++) text += render(values[i]) + (strings[i + 1] ?? '');
  return new Markup(text);
}

/** Marks text as finished HTML. Only for text made by this folder. */
export function raw(text: string): Markup {
  return new Markup(text);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text safe as element content and quoted attribute; forbidden control characters are U+FFFD. */
export function escapeHtml(text: string): string {
  return (
    text
      .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must go
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '\ufffd')
  );
}

/** A value as JSON for a `<script type="application/json">` block: `<` cannot end the block. */
export function jsonBlock(value: unknown): Markup {
  return raw(
    JSON.stringify(value)
      .replace(/</g, '\\u003c')
      .replace(/\u2028/g, '\\u2028')
      .replace(/\u2029/g, '\\u2029'),
  );
}

function render(value: TemplateValue): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(render).join('');
  return escapeHtml(String(value));
}
