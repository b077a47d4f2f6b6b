/** Grafana's dashboards, from the list of panels. */
import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  FieldColorBuilder,
  FieldColorModeId,
  type Dashboard as GrafanaDashboard,
  type GridPos,
  MappingType,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMap,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as states from '@grafana/grafana-foundation-sdk/statetimeline';
import * as table from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';
import { type Dashboard, instanceStates, type Level, linesOf, type Panel, type Unit, upDown } from './panel.ts';

const colours: Record<Level, string> = { plain: 'text', good: 'green', busy: 'blue', warn: 'orange', bad: 'red' };
const units: Record<Unit, string> = {
  count: 'short',
  perSecond: 'suffix:/s',
  seconds: 's',
  bytes: 'bytes',
  bytesPerSecond: 'Bps',
  share: 'percentunit',
  upDown: 'short',
  state: 'short',
};
const datasource = { type: 'prometheus', uid: '$datasource' };
const WIDTH = 24;
const HEIGHTS: Record<Panel['kind'], number> = { stat: 4, states: 6, table: 6, timeseries: 8 };

export function buildDashboard({ id, title, description, ofOneInstance, rows }: Dashboard): GrafanaDashboard {
  const builder = new DashboardBuilder(`wsfleet / ${title}`)
    .uid(`wsfleet-${id}`)
    .description(description)
    .tags(['wsfleet'])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-15m', to: 'now' })
    .refresh('5s')
    .timezone('browser')
    .link(
      new DashboardLinkBuilder('wsfleet')
        .type(DashboardLinkType.Dashboards)
        .tags(['wsfleet'])
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .annotation(
      new AnnotationQueryBuilder()
        .name('Restarts')
        .datasource(datasource)
        .enable(true)
        .iconColor(colours.busy)
        // Drawn at the value: when the process began, in milliseconds.
        .expr('max by (instance) (process_start_time_seconds{job="app"}) * 1000')
        .useValueForTime(true)
        .titleFormat('{{instance}} started'),
    );
  if (ofOneInstance) {
    builder.withVariable(
      new QueryVariableBuilder('instance')
        .label('Instance')
        .datasource(datasource)
        .query('label_values(up{job="app"}, instance)')
        .definition('label_values(up{job="app"}, instance)')
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .sort(VariableSort.NaturalAsc),
    );
  }
  let nextId = 1;
  let y = 0;
  for (const { question, panels } of rows) {
    builder.withRow(new RowBuilder(question).id(nextId++).gridPos({ x: 0, y, w: WIDTH, h: 1 }));
    for (const { panel, gridPos } of place(panels, y + 1)) {
      builder.withPanel(build(panel).id(nextId++).gridPos(gridPos));
      y = Math.max(y, gridPos.y + gridPos.h);
    }
  }
  return builder.build();
}

/** Stats share a line, state timelines and tables have one each, the others stand in lines of up to three. */
function place(panels: readonly Panel[], top: number): { panel: Panel; gridPos: GridPos }[] {
  const ofKind = (...kinds: Panel['kind'][]) => panels.filter(({ kind }) => kinds.includes(kind));
  const graphs = ofKind('timeseries');
  const lines = [
    ofKind('stat'),
    ...ofKind('states', 'table').map((panel) => [panel]),
    ...linesOf(graphs.length).map((count) => graphs.splice(0, count)),
  ];
  let y = top;
  return lines.flatMap((line) => {
    const w = WIDTH / line.length;
    const placed = line.map((panel, index) => ({ panel, gridPos: { x: index * w, y, w, h: HEIGHTS[panel.kind] } }));
    y += placed[0]?.gridPos.h ?? 0;
    return placed;
  });
}

function build(panel: Panel) {
  const builder = visual(panel)
    .title(panel.title)
    .description(`${panel.question}\n\n${panel.description}`)
    .datasource(datasource)
    .unit(units[panel.unit])
    .thresholds(
      new ThresholdsConfigBuilder()
        .mode(ThresholdsMode.Absolute)
        .steps(panel.thresholds.map(({ from, level }) => ({ value: from, color: colours[level] }))),
    )
    .targets(panel.queries.map(({ expr, legend }, index) => target(panel, expr, legend, index)));
  if (panel.min !== undefined) builder.min(panel.min);
  if (panel.max !== undefined) builder.max(panel.max);
  if (panel.kind === 'stat' && panel.unit === 'count') builder.decimals(0); // increase() extrapolates
  if (panel.noValue !== undefined) builder.noValue(panel.noValue);
  const mapping = mappingOf(panel.unit);
  if (mapping) builder.mappings([mapping]);
  return builder;
}

function target({ kind }: Panel, expr: string, legend: string, index: number): DataqueryBuilder {
  const query = new DataqueryBuilder()
    .refId(String.fromCharCode('A'.charCodeAt(0) + index))
    .datasource(datasource)
    .expr(expr)
    .legendFormat(legend);
  if (kind === 'table') return query.instant().format(PromQueryFormat.Table);
  return kind === 'stat' ? query.instant() : query.range();
}

function visual(panel: Panel) {
  switch (panel.kind) {
    case 'stat':
      return new stat.PanelBuilder().colorMode(BigValueColorMode.Value).graphMode(BigValueGraphMode.None);
    case 'states':
      return new states.PanelBuilder()
        .colorScheme(byThresholds())
        .showValue(VisibilityMode.Auto)
        .rowHeight(0.8)
        .fillOpacity(80);
    case 'table':
      return tableOf(panel);
    case 'timeseries':
      return timeseriesOf(panel);
  }
}

function timeseriesOf({ stacked, thresholds, unit }: Panel) {
  const builder = new timeseries.PanelBuilder()
    .lineWidth(1)
    .fillOpacity(stacked ? 30 : 8)
    .showPoints(VisibilityMode.Never)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(['lastNotNull', 'max'])
        .sortBy('Max')
        .sortDesc(true),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (stacked) builder.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  const limits = thresholds.length > 1 && unit !== 'upDown';
  return builder.thresholdsStyle(
    new GraphThresholdsStyleConfigBuilder().mode(
      limits ? GraphThresholdsStyleMode.Dashed : GraphThresholdsStyleMode.Off,
    ),
  );
}

/** The queries' results side by side, a line for each instance. */
function tableOf({ queries }: Panel) {
  const values = queries.map((_, index) => `Value #${String.fromCharCode('A'.charCodeAt(0) + index)}`);
  const builder = new table.PanelBuilder()
    .withTransformation({ id: 'joinByField', options: { byField: 'instance', mode: 'outer' } })
    .withTransformation({ id: 'filterFieldsByName', options: { include: { names: ['instance', ...values] } } })
    .withTransformation({
      id: 'organize',
      options: {
        renameByName: {
          instance: 'Instance',
          ...Object.fromEntries(values.map((name, i) => [name, queries[i]?.legend])),
        },
      },
    });
  for (const { legend, unit } of queries) {
    if (!unit) continue;
    const mapping = mappingOf(unit);
    builder.overrideByName(legend, [
      { id: 'unit', value: units[unit] },
      ...(mapping ? [{ id: 'mappings', value: [mapping] }] : []),
    ]);
  }
  return builder;
}

function byThresholds() {
  return new FieldColorBuilder().mode(FieldColorModeId.Thresholds);
}

function mappingOf(unit: Unit): ValueMap | undefined {
  const names = unit === 'state' ? instanceStates : unit === 'upDown' ? upDown : undefined;
  if (!names) return undefined;
  return {
    type: MappingType.ValueToText,
    options: Object.fromEntries(
      names.map(({ name, level }, index) => [String(index), { text: name, color: colours[level], index }]),
    ),
  };
}
