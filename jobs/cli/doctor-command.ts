/** `reprise doctor`: prints the findings; exit code 0 when both engines work, else 1. */
import { diagnose } from '../doctor/doctor.js';
import { formatTable } from '../format.js';
import { EXIT } from './exit-codes.js';
import { writeData } from './terminal.js';

export interface DoctorCommandOptions {
  readonly json?: boolean;
}

export async function doctorCommand(options: DoctorCommandOptions): Promise<number> {
  const diagnosis = await diagnose();
  const { findings, local, spark } = diagnosis;
  if (options.json) await writeData(`${JSON.stringify(diagnosis)}\n`);
  else {
    const rows = findings.map(({ name, status, found, remedy }) => [
      name,
      status,
      remedy === null ? found : `${found} -> ${remedy}`,
    ]);
    const works = (isWorking: boolean): string => (isWorking ? 'works' : 'does not work');
    await writeData(
      `${formatTable([['part', 'status', 'found'], ...rows])}\n\n--engine local ${works(local)}, --engine spark ${works(spark)}\n`,
    );
  }
  return findings.some(({ status }) => status === 'missing') ? EXIT.unexpected : EXIT.done;
}
