// Chooses the gallery and the type of the events that are shown.
import { texts } from "../texts.ts";

export function HappenedFilter(
  { galleryId, type, setType }: { galleryId: string; type: string; setType: (type: string) => void },
) {
  const { happened } = texts;

  function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const wanted = String(form.get("gallery")).trim().toLowerCase();
    location.hash = wanted ? `#/happened/${encodeURIComponent(wanted)}` : "#/happened";
  }

  return (
    <form class="row filter" onSubmit={submit}>
      <label>
        {happened.gallery}
        <input name="gallery" defaultValue={galleryId} autocomplete="off" placeholder={happened.allGalleries} />
      </label>
      <label>
        {happened.type}
        <select value={type} onChange={(event) => setType(event.currentTarget.value)}>
          <option value="">{happened.allTypes}</option>
          {Object.entries(happened.types).map(([slug, words]) => <option key={slug} value={slug}>{words}</option>)}
        </select>
      </label>
      <button>{happened.filter}</button>
    </form>
  );
}
