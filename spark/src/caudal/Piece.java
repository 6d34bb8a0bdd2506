//! A piece of a text file, and what is known of what lies before it.
package caudal;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

final class Piece implements Serializable {
    private static final long serialVersionUID = 1;
    /** What opening a file costs, in bytes that could be read meanwhile. */
    private static final long OPENING = 1 << 15;
    /** In the order of the source. */
    final int number;
    /** Of its file among the source's. */
    final int file;
    final String path;
    final long from;
    final long to;
    /** How a piece of CSV begins, the rows and line feeds before it, and whether rows follow. */
    int state;
    long rowsBefore;
    long linesBefore;
    boolean rowsFollow;

    Piece(int number, int file, String path, long from, long to) {
        this.number = number;
        this.file = file;
        this.path = path;
        this.from = from;
        this.to = to;
    }

    /** Adds what lies between two places of a file, in pieces of so many bytes. */
    static void cut(List<Piece> pieces, int file, String path, long from, long to, long bytes) {
        long parts = Math.max(1, (to - from + bytes - 1) / bytes);
        for (long part = 0; part < parts; part++) {
            long end = part + 1 == parts ? to : from + (part + 1) * bytes;
            pieces.add(new Piece(pieces.size(), file, path, from + part * bytes, end));
        }
    }

    /** Neighbours in groups of so many bytes. */
    static List<List<Piece>> groups(List<Piece> pieces, long bytes) {
        List<List<Piece>> groups = new ArrayList<>();
        List<Piece> group = new ArrayList<>();
        long size = 0;
        for (Piece piece : pieces) {
            long length = Math.max(OPENING, piece.to - piece.from);
            if (!group.isEmpty() && size + length > bytes) {
                groups.add(group);
                group = new ArrayList<>();
                size = 0;
            }
            group.add(piece);
            size += length;
        }
        if (!group.isEmpty()) {
            groups.add(group);
        }
        return groups;
    }
}
