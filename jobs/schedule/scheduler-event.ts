/** What a scheduler says of its work, to terminals, logs and metrics. */

export interface SchedulerEvent {
  readonly kind:
    | 'claimed'
    | 'waiting'
    | 'started'
    | 'resumed'
    /** A run that another process started is watched. */
    | 'adopted'
    | 'retry'
    /** A scheduler is gone, and its time is taken over. */
    | 'took-over'
    | 'done'
    | 'failed'
    | 'skipped'
    | 'replaced'
    | 'missed'
    | 'told'
    | 'warning';
  readonly schedule: string;
  /** Logical time. ISO 8601 with the offset of the schedule's zone. */
  readonly at?: string;
  /** As `at`. @units ms */
  readonly time?: number;
  readonly run?: string;
  readonly attempts?: number;
  readonly why?: string;
  /** Of one that has ended, since it was claimed. @units seconds */
  readonly seconds?: number;
}
