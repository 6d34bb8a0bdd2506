//! The pieces of one NDJSON file put together: its columns, its rows, its faults.
package caudal;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.types.DataTypes;

final class JsonFile {
    final String path;
    long rows;
    final List<Fault.Place> faults = new ArrayList<>();
    long faultsTotal;
    private final Map<String, JsonSurvey.Draft> columns = new LinkedHashMap<>();
    private final int kind;
    private long lines;

    JsonFile(String path, int kind) {
        this.path = path;
        this.kind = kind;
    }

    /** Takes the piece behind those that were taken before. */
    void add(JsonSurvey survey) {
        List<JsonSurvey.Found> found = new ArrayList<>(survey.told.first);
        faultsTotal += survey.told.total;
        for (JsonSurvey.Draft draft : survey.columns) {
            JsonSurvey.Draft before = columns.putIfAbsent(draft.name, draft);
            // Behind a text there are no numbers that could be wrong.
            if (before == null || before.other == null) {
                found.addAll(draft.told.first);
                faultsTotal += draft.told.total;
            }
            if (before != null) {
                before.number |= draft.number;
                before.found = before.other == null ? draft.found : before.found;
                before.other = before.other == null ? draft.other : before.other;
            }
        }
        found.sort(Comparator.<JsonSurvey.Found>comparingLong(f -> f.line).thenComparingLong(f -> f.order));
        for (JsonSurvey.Found fault : found) {
            if (faults.size() < Fault.TOLD) {
                String column = fault.column == null ? "" : ", column " + fault.column;
                faults.add(Fault.Place.at(path, "line " + (lines + fault.line) + column, fault.detail));
            }
        }
        lines += survey.lines;
        rows += survey.rows;
    }

    /** The columns as a choice is made among them, in the order in which they appear. */
    List<Column> offered(List<String> named) {
        List<Column> offered = new ArrayList<>();
        for (JsonSurvey.Draft draft : columns.values()) {
            boolean wanted = named == null || named.contains(draft.name);
            String kind = draft.other != null ? draft.other : wanted || draft.number ? "number" : "unknown";
            String unfit = draft.other == null ? null : "it holds " + draft.other + " values, such as " + draft.found;
            offered.add(new Column(draft.name, kind, unfit, DataTypes.DoubleType));
        }
        if (offered.isEmpty() && kind == JsonRows.OBJECTS) {
            throw Fault.of("invalid_data", "the objects have no keys, and objects without keys hold no columns", path, null);
        }
        if (offered.isEmpty() && rows > 0) {
            offered.add(new Column(JsonRows.UNNAMED, "number", null, DataTypes.DoubleType));
        }
        return offered;
    }
}
