function refuse(): never {
  throw new Error("a browser opens no file by its path; fetch the bytes and give those");
}

export const open = refuse;
export const realpath = refuse;
export const dirname = refuse;
export const resolve = refuse;
export const sep = "/";
