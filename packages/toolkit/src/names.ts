/** What encoders are told by name, for those who offer a choice without loading the toolkit. */
export { MODALITIES, type Modality, POOLINGS, type Pooling } from "./encoders/encoder.ts";
