import {
  add,
  cast,
  isFloat,
  mul,
  stopGradient,
  sub,
  type Tensor,
  type TensorLike,
  type Traced,
  treeZip,
} from "@concord/tensor";

/**
 * A momentum teacher: every parameter follows the student's as a moving average.
 *
 *   t ← m t + (1 - m) s
 *
 * Start the teacher as a copy of the student unless the paper says otherwise, and mind when it says to update: after
 * the optimiser's step (most) or before the teacher's forward pass. Leaves that are no floats (counters) are taken over
 * from the student. No gradient passes.
 *
 * @param teacher   parameters, any tree
 * @param student   parameters of the same structure
 * @param momentum  m in [0, 1]: a number, or a scalar tensor from a schedule such as `cosineRamp`
 * @throws RangeError when a number m is out of range; TypeError when the trees differ in structure
 * @source Tarvainen, Valpola 2017 (mean teacher); He et al. 2020 (MoCo); Grill et al. 2020 (BYOL)
 */
export function updateTeacher<P>(teacher: Traced<P>, student: Traced<P>, momentum: TensorLike): Traced<P> {
  if (typeof momentum === "number" && !(momentum >= 0 && momentum <= 1))
    throw new RangeError(`updateTeacher: momentum must lie in [0, 1], got ${momentum}`);
  const follow = (old: Tensor, current: Tensor): Tensor => {
    if (!isFloat(old.dtype)) return stopGradient(current);
    const m = typeof momentum === "number" ? momentum : cast(momentum, old.dtype);
    const share = typeof m === "number" ? 1 - m : sub(1, m);
    return add(mul(stopGradient(old), m), mul(stopGradient(current), share));
  };
  return treeZip(teacher, [student], follow as (...leaves: Tensor[]) => Tensor);
}
