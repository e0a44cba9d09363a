// Shows a value as indented JSON, in a box that the keyboard can scroll.
export function Json({ value, label }: { value: unknown; label: string }) {
  return <pre class="json" tabIndex={0} role="region" aria-label={label}>{JSON.stringify(value, null, 2)}</pre>;
}
