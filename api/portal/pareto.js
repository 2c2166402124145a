/** Those that no other one beats: none is at least as small and at least as good, and better in one of the two. */
export function front(marks) {
  const sorted = [...marks].sort((a, b) => a.x - b.x || b.y - a.y);
  let best = -Infinity;
  return sorted.filter((mark) => {
    const leads = mark.y > best;
    best = Math.max(best, mark.y);
    return leads;
  });
}
