/** The shape of a series, without axes; its numbers stand beside it. */
export function Sparkline({ values }: { values: readonly number[] }) {
  const most = Math.max(...values, 0);
  if (values.length < 2 || most === 0)
    return (
      <svg className="spark" viewBox="0 0 100 32" preserveAspectRatio="none" aria-hidden="true">
        <line className="base" x1="0" y1="31" x2="100" y2="31" />
      </svg>
    );
  const points = values.map((value, index) => {
    const x = (index / (values.length - 1)) * 100;
    return `${x.toFixed(2)},${(31 - (value / most) * 28).toFixed(2)}`;
  });
  return (
    <svg className="spark" viewBox="0 0 100 32" preserveAspectRatio="none" aria-hidden="true">
      <polygon className="area" points={`0,32 ${points.join(' ')} 100,32`} />
      <polyline className="line" points={points.join(' ')} />
    </svg>
  );
}
