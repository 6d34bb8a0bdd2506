//! What came to light while a piece of text was converted.
package caudal;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/** Adds up to the same whatever the order; a piece that was converted twice counts once. */
final class Report implements Serializable {
    private static final long serialVersionUID = 1;
    final int piece;
    long rows;
    final long[] inexact;
    final List<Fault.Place> faults = new ArrayList<>();
    long faultsTotal;

    Report(int piece, int columns) {
        this.piece = piece;
        inexact = new long[columns];
    }

    /** Adds what came to light in a later piece. */
    void add(Report later) {
        rows += later.rows;
        for (int c = 0; c < inexact.length; c++) {
            inexact[c] += later.inexact[c];
        }
        faultsTotal += later.faultsTotal;
        faults.addAll(later.faults.subList(0, Math.min(later.faults.size(), Fault.TOLD - faults.size())));
    }

    /** Counts a fault; whether there is still room to tell it. */
    boolean counts() {
        return ++faultsTotal <= Fault.TOLD;
    }
}
