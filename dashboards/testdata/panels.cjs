// Shows what Grafana's own code makes of the panels: input.json has the dashboards, and the answer to each query; out comes, for each panel, its frames
// as they are shown: the names of the fields, and of each row its texts, colours and links.
const { JSDOM } = require('jsdom');
const dom = new JSDOM('<!doctype html><body></body>', { url: 'http://localhost/' });
for (const name of ['document', 'HTMLElement', 'Node', 'Element', 'DOMParser', 'localStorage']) global[name] = dom.window[name];
global.window = dom.window;
Object.defineProperty(global, 'navigator', { value: dom.window.navigator, configurable: true });
dom.window.matchMedia = () => ({ matches: false, addListener() {}, removeListener() {}, addEventListener() {} });

const grafana = require('@grafana/data');
const { firstValueFrom } = require('rxjs');
const { FieldType, getFieldDisplayName } = grafana;
const input = JSON.parse(require('fs').readFileSync(0));

const typeOf = (values) => {
  const v = values.find((v) => v !== null && v !== undefined);
  return typeof v === 'string' ? FieldType.string : typeof v === 'boolean' ? FieldType.boolean : FieldType.number;
};

// What the data source gives for a query whose format is a table: one frame, with the tags as fields.
function table(series, refId) {
  if (!series || !series.length) return [];
  const column = (of) => series.flatMap((s) => s.values.map((row) => of(s, row)));
  const fields = [{ name: 'Time', type: FieldType.time, values: column((s, row) => row[0]), config: {} }];
  for (const tag of Object.keys(series[0].tags || {})) {
    fields.push({ name: tag, type: FieldType.string, values: column((s) => s.tags[tag]), config: { displayNameFromDS: tag } });
  }
  series[0].columns.forEach((name, i) => {
    if (i === 0) return;
    const values = column((s, row) => row[i]);
    fields.push({ name, type: typeOf(values), values, config: { displayNameFromDS: name } });
  });
  return [grafana.toDataFrame({ refId, name: series[0].name, fields })];
}

// And for one whose format is time series: a frame for each series and column.
function lines(series, refId, alias) {
  return (series || []).flatMap((s) =>
    s.columns.slice(1).map((column, i) => {
      const values = s.values.map((row) => row[i + 1]);
      const name = alias ? alias.replace(/\$tag_(\w+)/g, (_, tag) => (s.tags || {})[tag] ?? '').replace(/\$col/g, column) : s.name + '.' + column;
      return grafana.toDataFrame({ refId, name, fields: [
        { name: 'Time', type: FieldType.time, values: s.values.map((row) => row[0]), config: {} },
        { name: 'Value', type: typeOf(values), values, labels: s.tags || {}, config: { displayNameFromDS: name } },
      ] });
    }));
}

const properties = ['displayName', 'unit', 'decimals', 'noValue', 'mappings', 'thresholds', 'color', 'min', 'max', 'links'];
const own = ['hidden', 'width', 'cellOptions', 'thresholdsStyle'];
const registry = new grafana.Registry(() => [
  ...properties.map((id) => ({ id, path: id, name: id, process: (v) => v, shouldApply: () => true })),
  ...own.map((id) => ({ id: 'custom.' + id, path: id, name: id, isCustom: true, process: (v) => v, shouldApply: () => true })),
]);
const transformers = new Map(Object.values(grafana.standardTransformers).map((t) => [t.id, t]));
grafana.standardTransformersRegistry.setInit(() => [...transformers.values()].map((t) => ({ id: t.id, name: t.name, transformation: async () => t })));

// ${board:raw} and the fields of the row, as Grafana fills them into a link.
const fill = (board) => (text, vars) => text.replace(/\$\{board:raw\}/g, board).replace(/\$\{__data\.fields\.(\w+)\}/g, (whole, name) => {
  const row = vars && vars.__dataContext && vars.__dataContext.value;
  const field = row && row.frame.fields.find((f) => f.name === name || getFieldDisplayName(f, row.frame) === name);
  return field ? field.values[row.rowIndex ?? 0] : whole;
});

(async () => {
  const theme = grafana.createTheme(), out = {};
  for (const board of input.boards) {
    for (const panel of board.panels) {
      const key = board.title + ': ' + panel.title;
      let frames = panel.targets.flatMap((t) => {
        const series = input.answers[key + ' ' + t.refId];
        return t.resultFormat === 'table' ? table(series, t.refId) : lines(series, t.refId, t.alias);
      });
      frames = await firstValueFrom(grafana.transformDataFrame(panel.transformations || [], frames, { interpolate: (v) => v }));
      frames = grafana.applyFieldOverrides({ data: frames, fieldConfig: panel.fieldConfig, theme, replaceVariables: fill(board.templating.list[0].query), fieldConfigRegistry: registry });
      out[key] = frames.map((frame) => ({
        names: frame.fields.map((f) => getFieldDisplayName(f, frame, frames)),
        fields: frame.fields.map((f) => f.name),
        rows: [...Array(frame.length).keys()].map((r) => frame.fields.map((f) => {
          const shown = f.display ? f.display(f.values[r]) : { text: String(f.values[r]) };
          return { text: (shown.prefix || '') + shown.text + (shown.suffix || ''), color: shown.color || '', links: f.getLinks ? f.getLinks({ valueRowIndex: r }).map((l) => l.href) : [] };
        })),
      }));
    }
  }
  process.stdout.write(JSON.stringify(out));
})().catch((err) => {
  console.error(err);
  process.exit(1);
});
