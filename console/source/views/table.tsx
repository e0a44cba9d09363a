// Shows rows under heads, in a box that can be scrolled sideways on a narrow screen.
import type { ComponentChildren } from "preact";

export function Table(
  { label, heads, rows }: { label: string; heads: readonly string[]; rows: readonly (readonly ComponentChildren[])[] },
) {
  return (
    <div class="wide" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead><tr>{heads.map((head) => <th key={head} scope="col">{head}</th>)}</tr></thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index}>
              {row.map((cell, column) => (column === 0 ? <th key={column} scope="row">{cell}</th> : <td key={column}>{cell}</td>))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
