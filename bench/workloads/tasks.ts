/** The workloads that run in a process of their own, each loaded with what it needs and no more. */
import type { Task } from './task.js';

export const tasks: Readonly<Record<string, () => Promise<Task>>> = {
  hcv: async () => (await import('./hcv.js')).hcvTask,
  pnmf: async () => (await import('./pnmf.js')).pnmfTask,
  svm: async () => (await import('./svm.js')).svmTask,
  cleaning: async () => (await import('./cleaning.js')).cleaningTask,
};
