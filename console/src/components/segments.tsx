/** A choice of few, all in sight. */
export function Segments({
  label,
  options,
  value,
  onChange,
}: {
  label: string;
  /** [value, text] */
  options: readonly (readonly [string, string])[];
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <fieldset className="segments">
      <legend className="visually-hidden">{label}</legend>
      {options.map(([key, text]) => (
        <button
          key={key}
          type="button"
          className="segment"
          aria-pressed={key === value}
          onClick={() => onChange(key)}
        >
          {text}
        </button>
      ))}
    </fieldset>
  );
}
