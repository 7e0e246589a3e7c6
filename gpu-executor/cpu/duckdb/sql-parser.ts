/** DuckDB's parser and binder for the driver (`SqlParser`). Scans nothing, registers no name. */
import type { SqlParser, TypedColumn } from '../../../driver/frame/sql/parser.js';
import { type Database, quoteName, quoteText } from './database.js';

export class DuckDbParser implements SqlParser {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async parse(statements: readonly string[]): Promise<readonly string[]> {
    const items = statements.map((text) => `json_serialize_sql(${quoteText(text)})`);
    const [row] = await this.#database.query(`SELECT ${items.join(', ')}`, 'expression');
    return row!.map(String);
  }

  async bind(expressions: readonly string[], columns: readonly TypedColumn[]): Promise<string> {
    const items = columns.map(({ name, type }) => `CAST(NULL AS ${type}) AS ${quoteName(name)}`);
    const wanted = expressions.map((sql) => `(${sql}\n)`).join(', ');
    const statement = `SELECT ${wanted} FROM (SELECT ${['NULL AS "reprise none"', ...items].join(', ')})`;
    const text = `SELECT json_serialize_plan(${quoteText(statement)})`;
    const [row] = await this.#database.query(text, 'expression');
    return String(row![0]);
  }
}
