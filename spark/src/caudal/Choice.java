//! Which columns of a source are processed, and why the others are not.
package caudal;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

final class Choice {
    private static final int LISTED = 20;
    final List<Column> columns = new ArrayList<>();
    final List<Column> skipped = new ArrayList<>();

    /** The named columns, or every numeric one, in source order; {@code unfit} of a skipped column is the reason. */
    static Choice of(List<Column> offered, List<String> named) {
        List<Fault.Place> faults = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        for (Column column : offered) {
            if (!seen.add(column.name)) {
                faults.add(new Fault.Place("the name \"" + column.name + "\" stands twice", null, null, column.name));
            }
        }
        Choice choice = new Choice();
        for (Column column : offered) {
            boolean wanted = named == null ? column.unfit == null : named.contains(column.name);
            if (wanted && column.unfit != null) {
                faults.add(new Fault.Place("the column \"" + column.name + "\" is " + column.type + ": " + column.unfit,
                    null, null, column.name));
            } else if (wanted) {
                choice.columns.add(column);
            } else {
                String reason = named == null ? column.unfit : "it was not named";
                choice.skipped.add(new Column(column.name, column.type, reason, null));
            }
        }
        if (named != null) {
            named.stream().filter(name -> !seen.contains(name)).forEach(name -> faults.add(unknown(name, offered)));
        }
        if (faults.isEmpty() && choice.columns.isEmpty()) {
            faults.add(new Fault.Place("there is no numeric column; the columns are " + listed(choice.skipped, true), null, null, null));
        }
        if (!faults.isEmpty()) {
            throw Fault.invalidData(faults);
        }
        return choice;
    }

    private static Fault.Place unknown(String name, List<Column> offered) {
        return new Fault.Place("no column \"" + name + "\"; the columns are " + listed(offered, false), null, null, name);
    }

    private static String listed(List<Column> columns, boolean typed) {
        String names = columns.stream().limit(LISTED)
            .map(c -> "\"" + c.name + "\"" + (typed ? " (" + c.type + ")" : "")).collect(Collectors.joining(", "));
        return names + (columns.size() > LISTED ? ", …" : "");
    }
}
