//! A fault that ends the job, in words for the one who must act.
package caudal;

import java.util.ArrayList;
import java.util.List;

/** The first faults are told one by one, all are counted. */
final class Fault extends RuntimeException {
    private static final long serialVersionUID = 1;
    static final int TOLD = 20;

    /** One fault and its place; file, row and column may be null. */
    static final class Place implements java.io.Serializable {
        private static final long serialVersionUID = 1;
        final String detail;
        final String file;
        final Long row;
        final String column;
        /** Another place than a row and a column, in words. */
        final String at;

        Place(String detail, String file, Long row, String column) {
            this(detail, file, row, column, null);
        }

        private Place(String detail, String file, Long row, String column, String at) {
            this.detail = detail;
            this.file = file;
            this.row = row;
            this.column = column;
            this.at = at;
        }

        static Place at(String file, String at, String detail) {
            return new Place(detail, file, null, null, at);
        }
    }

    final String kind;
    final List<Place> places = new ArrayList<>();
    final long total;
    final String hint;

    Fault(String kind, List<Place> places, long total, String hint) {
        super(places.isEmpty() ? kind : places.get(0).detail);
        this.kind = kind;
        this.places.addAll(places.subList(0, Math.min(TOLD, places.size())));
        this.total = total;
        this.hint = hint;
    }

    static Fault of(String kind, String detail, String file, String hint) {
        List<Place> places = new ArrayList<>();
        places.add(new Place(detail, file, null, null));
        return new Fault(kind, places, 1, hint);
    }

    static Fault invalidData(List<Place> places) {
        return new Fault("invalid_data", places, places.size(), null);
    }

    static Fault invalidRequest(String detail) {
        return of("invalid_request", detail, null, null);
    }

    /** Whether the same attempt would fail again until the user changes something. */
    boolean isOfTheUser() {
        return kind.equals("invalid_request") || kind.equals("invalid_data") || kind.equals("source_unavailable");
    }
}
