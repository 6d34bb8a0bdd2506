//! Looks at CSV files: their columns, and in which state of quotes, at which row, each of their pieces begins.
package caudal;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.FileStatus;
import org.apache.spark.api.java.JavaSparkContext;

final class CsvFiles {
    private CsvFiles() {}

    static Texts open(JavaSparkContext sc, List<FileStatus> files, List<String> named, long bytes) throws IOException {
        Events.step("source: first rows");
        List<CsvHead> heads = Texts.each(sc, Texts.paths(files), false, (path, conf) -> CsvHead.read(path, named, conf));
        List<CsvHead> failed = heads.stream().filter(head -> head.fault != null).collect(Collectors.toList());
        if (!failed.isEmpty()) {
            List<Fault.Place> faults = failed.stream().map(head -> head.fault).collect(Collectors.toList());
            throw new Fault("invalid_data", faults, faults.size(), failed.get(0).hint);
        }
        heads.forEach(head -> checkNames(head, named));
        heads = heads.stream().filter(head -> head.hasRows).collect(Collectors.toList());
        if (heads.isEmpty()) {
            throw Texts.noRows();
        }
        Texts.agree(heads.stream().map(h -> h.file).collect(Collectors.toList()),
            heads.stream().map(h -> h.offered(named)).collect(Collectors.toList()), named);
        Choice choice = null;
        Fault unfit = null;
        try {
            choice = Choice.of(heads.get(0).offered(named), named);
        } catch (Fault fault) {
            unfit = fault;
        }
        List<String> names = Texts.names(choice);
        List<CsvPlan> plans = heads.stream().map(head -> new CsvPlan(head, named, names)).collect(Collectors.toList());
        return new Texts(pieces(sc, heads, files, bytes), reading(plans), choice, unfit);
    }

    private static Reading reading(List<CsvPlan> plans) {
        return (piece, report, block, conf) -> new CsvRows(plans.get(piece.file), piece, report, block, conf);
    }

    /** A misspelt name is told before anything else is read. */
    private static void checkNames(CsvHead head, List<String> named) {
        List<Column> columns = new ArrayList<>();
        head.names.forEach(name -> columns.add(new Column(name, "number", null, null)));
        Choice.of(columns, named);
    }

    private static List<Piece> pieces(JavaSparkContext sc, List<CsvHead> heads, List<FileStatus> files, long bytes) throws IOException {
        java.util.Map<String, Long> lengths = new java.util.HashMap<>();
        files.forEach(file -> lengths.put(file.getPath().toString(), file.getLen()));
        List<Piece> pieces = new ArrayList<>();
        for (int file = 0; file < heads.size(); file++) {
            CsvHead head = heads.get(file);
            Piece.cut(pieces, file, head.file, head.dataStart, lengths.get(head.file), bytes);
        }
        List<Piece> parts = new ArrayList<>();
        for (int i = 0; i < pieces.size(); i++) {
            boolean first = i == 0 || pieces.get(i - 1).file != pieces.get(i).file;
            boolean last = i + 1 == pieces.size() || pieces.get(i + 1).file != pieces.get(i).file;
            if (!first || !last) {
                parts.add(pieces.get(i));
            } else {
                begin(pieces.get(i), heads.get(pieces.get(i).file));
            }
        }
        if (!parts.isEmpty()) {
            Events.step("source: where rows begin");
            byte[] delimiters = new byte[heads.size()];
            for (int file = 0; file < delimiters.length; file++) {
                delimiters[file] = heads.get(file).delimiter;
            }
            join(parts, heads, Texts.each(sc, parts, true,
                (piece, conf) -> new CsvStates(delimiters[piece.file]).pass(piece.path, piece.from, piece.to, conf)));
        }
        return pieces;
    }

    private static void begin(Piece piece, CsvHead head) {
        piece.state = head.state;
        piece.linesBefore = head.lines;
    }

    /** Gives each piece what the pieces before it end with. */
    private static void join(List<Piece> parts, List<CsvHead> heads, List<CsvStates.Passage> passages) {
        for (int i = 0; i < parts.size(); i++) {
            Piece piece = parts.get(i);
            CsvHead head = heads.get(piece.file);
            Piece before = i > 0 && parts.get(i - 1).file == piece.file ? parts.get(i - 1) : null;
            if (before == null) {
                begin(piece, head);
                continue;
            }
            CsvStates.Passage passage = passages.get(i - 1);
            // Where there is one column, an empty line is a row.
            long emptyLines = head.names.size() == 1 ? passage.emptyLines[before.state] : 0;
            piece.state = passage.end[before.state];
            piece.rowsBefore = before.rowsBefore + passage.rows[before.state] + emptyLines;
            piece.linesBefore = before.linesBefore + passage.lines;
        }
        boolean rowsFollow = false;
        for (int i = parts.size() - 1; i >= 0; i--) {
            Piece piece = parts.get(i);
            rowsFollow &= i + 1 < parts.size() && parts.get(i + 1).file == piece.file;
            piece.rowsFollow = rowsFollow;
            rowsFollow |= passages.get(i).rows[piece.state] > 0;
        }
    }
}
