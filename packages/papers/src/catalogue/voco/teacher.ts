import { updateTeacher } from "@concord/align";
import type { TensorLike, Traced } from "@concord/tensor";
import { PAPER_DEFAULTS } from "./defaults.ts";

/**
 * The teacher of the released form: t ← m t + (1 - m) s, with m = 0.9, once a step, after the student's forward pass
 * and before the teacher's. It starts from weights of its own, not from the student's.
 *
 * @source released code, VoCoHead.forward
 */
export function ema<P>(
  teacher: Traced<P>,
  student: Traced<P>,
  momentum: TensorLike = PAPER_DEFAULTS.momentum,
): Traced<P> {
  return updateTeacher(teacher, student, momentum);
}
