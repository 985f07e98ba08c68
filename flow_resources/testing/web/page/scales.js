// Scales of a chart. Pure functions of numbers.

const HOUR = 3_600_000;
const STEPS = [5 / 60, 10 / 60, 0.25, 0.5, 1, 2, 3, 4, 6, 12, 24, 48].map((hours) => hours * HOUR);

/** Return about `wanted` evenly spaced round numbers in [low, high]. */
export function roundNumbers(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let n = Math.ceil(low / step) * step; n <= high + step * 1e-9; n += step) found.push(Number(n.toFixed(6)));
  return found;
}

/** Return at most `most` evenly spaced round times in [from, to]. */
export function roundMoments(from, to, most) {
  const step = STEPS.find((one) => (to - from) / one <= most) ?? STEPS.at(-1);
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return found;
}

/**
 * Return the price range of a chart. Limits far above every price would flatten the price line: they are not in the
 * range, and returned as `beyond`, highest first, to be drawn in an area above the scale.
 */
export function priceRange(prices, limits) {
  const highest = Math.max(...prices);
  const inScale = limits.filter((limit) => limit <= highest * 2);
  const low = Math.min(...prices, ...inScale);
  const high = Math.max(highest, ...inScale);
  const air = Math.max((high - low) * 0.15, high * 0.08);
  const beyond = [...new Set(limits.filter((limit) => limit > highest * 2))].sort((a, b) => b - a);
  return { low: Math.max(0, low - air), high: high + air, beyond };
}

/** Return the labels sorted by position, moved so that they do not overlap and stay between `top` and `bottom`. */
export function spread(labels, gap, top, bottom) {
  const sorted = [...labels].sort((a, b) => a.y - b.y);
  let least = top;
  for (const label of sorted) {
    label.y = Math.max(label.y, least);
    least = label.y + gap;
  }
  let most = bottom;
  for (const label of sorted.toReversed()) {
    label.y = Math.min(label.y, most);
    most = label.y - gap;
  }
  return sorted;
}

/** Return the price at a time, that of the last point up to it, or null. */
export function priceAt(points, at) {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= at) low = middle + 1;
    else high = middle;
  }
  return low ? points[low - 1][1] : null;
}
