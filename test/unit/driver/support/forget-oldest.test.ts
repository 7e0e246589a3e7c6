/** Maps that are kept to a limit. */
import assert from 'node:assert/strict';
import { forgetOldest } from '../../../../driver/support/forget-oldest.js';

describe('forgetting the oldest', () => {
  it('leaves a map within its limit alone, and else drops an eighth, in the order of putting', () => {
    const map = new Map<number, string>();
    for (let i = 0; i < 80; i++) {
      map.set(i, '');
      forgetOldest(map, 80);
    }
    assert.equal(map.size, 80);
    map.set(80, '');
    forgetOldest(map, 80);
    assert.deepEqual(
      [...map.keys()],
      Array.from({ length: 70 }, (_, i) => i + 11),
    );
  });

  it('never exceeds a limit too small to have an eighth, and keeps the newest', () => {
    const map = new Map<number, string>();
    for (let i = 0; i < 20; i++) {
      map.set(i, '');
      forgetOldest(map, 3);
      assert.ok(map.size <= 3 && map.has(i));
    }
    assert.deepEqual([...map.keys()], [17, 18, 19]);
  });
});
