import { type Key, RandomStream } from "@concord/tensor";

/**
 * The items of a stream in a random order that the key decides, holding only some of them: each arriving item takes
 * the place of a random one in a buffer of K, which is given out. An item can come out as early as K places before
 * and any number of places after its own; with K not smaller than the stream the order is uniform.
 *
 * @throws RangeError when the size is not an integer >= 1
 */
export async function* shuffleBuffer<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  options: { readonly key: Key; readonly size: number },
): AsyncGenerator<Item> {
  const { key, size } = options;
  if (!Number.isInteger(size) || size < 1)
    throw new RangeError(`shuffleBuffer: size must be an integer >= 1, got ${size}`);
  const random = new RandomStream(key);
  const held: Item[] = [];
  for await (const item of items) {
    if (held.length < size) {
      held.push(item);
      continue;
    }
    const place = random.integer(size);
    const given = held[place] as Item;
    held[place] = item;
    yield given;
  }
  for (let left = held.length; left > 0; left--) {
    const place = random.integer(left);
    const given = held[place] as Item;
    held[place] = held[left - 1] as Item;
    yield given;
  }
}
