// Shows long-running jobs with their progress.
import type { System } from "../requests.ts";
import { texts } from "../texts.ts";
import { Table } from "./table.tsx";

const { system: words } = texts;

export function Jobs({ jobs }: { jobs: System["jobs"] }) {
  const rows = jobs?.oldest.map((job) => [
    <>{job.kind ?? words.unknown} <code>{job.galleryId}</code></>,
    job.state,
    String(job.steps),
    Object.entries(job.progress).map(([name, count]) => `${name} ${count}`).join(", "),
    job.startedDate ?? words.unknown,
  ]);
  return (
    <>
      <h2>{words.jobs}</h2>
      {!jobs || !rows ? <p>{words.unknown}</p> : (
        <>
          <p>{rows.length === 0
            ? words.noJobs
            : words.jobsState(jobs.running, jobs.failing, jobs.finishing, jobs.waitingCommands)}</p>
          {rows.length > 0 && (
            <Table
              label={words.jobs}
              heads={[words.jobKind, words.jobState, words.jobSteps, words.jobProgress, words.jobStarted]}
              rows={rows}
            />
          )}
        </>
      )}
    </>
  );
}
