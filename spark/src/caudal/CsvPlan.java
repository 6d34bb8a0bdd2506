//! How the rows of one CSV file are read: which cell belongs to which processed column.
package caudal;

import java.io.Serializable;
import java.util.List;

final class CsvPlan implements Serializable {
    private static final long serialVersionUID = 1;
    /** A cell that nobody asked for, and one of a column of text. */
    static final int UNWANTED = -1;
    static final int TEXT = -2;
    final byte delimiter;
    final String[] names;
    /** By cell: the number of its column among the processed ones, or one of the above. */
    final int[] target;
    final long[] textRow;

    CsvPlan(CsvHead head, List<String> named, List<String> processed) {
        delimiter = head.delimiter;
        names = head.names.toArray(new String[0]);
        target = new int[names.length];
        textRow = head.textRow;
        for (int i = 0; i < names.length; i++) {
            int column = processed.indexOf(names[i]);
            target[i] = named == null && head.text[i] != null ? TEXT : column >= 0 ? column : UNWANTED;
        }
    }
}
