//! Looks at NDJSON files: every line of them, since any may add a column, or make one text.
package caudal;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.FileStatus;
import org.apache.spark.api.java.JavaSparkContext;

final class JsonFiles {
    private JsonFiles() {}

    static Texts open(JavaSparkContext sc, List<FileStatus> files, List<String> named, long bytes) throws IOException {
        if (files.size() == 1 && files.get(0).getLen() == 0) {
            throw Fault.of("invalid_data", "the source is empty: expected a JSON object on each line", null, null);
        }
        Events.step("source: first lines");
        List<String> paths = Texts.paths(files);
        List<long[]> kinds = Texts.each(sc, paths, false, JsonRows::kind);
        java.util.Map<String, Long> lengths = new java.util.HashMap<>();
        files.forEach(file -> lengths.put(file.getPath().toString(), file.getLen()));
        List<Piece> pieces = new ArrayList<>();
        for (int file = 0; file < paths.size(); file++) {
            Piece.cut(pieces, file, paths.get(file), 0, lengths.get(paths.get(file)), bytes);
        }
        Events.step("source: columns of every line");
        List<List<Piece>> groups = Piece.groups(pieces, bytes);
        List<JsonFile> found = new ArrayList<>();
        for (int file = 0; file < paths.size(); file++) {
            found.add(new JsonFile(paths.get(file), (int) kinds.get(file)[0]));
        }
        for (List<JsonSurvey> surveys : Texts.each(sc, groups, true, (group, conf) -> {
            List<JsonSurvey> of = new ArrayList<>();
            for (Piece piece : group) {
                of.add(JsonSurvey.of(piece, kinds.get(piece.file), named, conf));
            }
            return of;
        })) {
            surveys.forEach(survey -> found.get(survey.piece.file).add(survey));
        }
        return choose(found, kinds, pieces, named);
    }

    private static Texts choose(List<JsonFile> files, List<long[]> kinds, List<Piece> pieces, List<String> named) {
        List<Fault.Place> faults = files.stream().flatMap(file -> file.faults.stream()).collect(Collectors.toList());
        if (!faults.isEmpty()) {
            throw new Fault("invalid_data", faults, files.stream().mapToLong(file -> file.faultsTotal).sum(), null);
        }
        List<JsonFile> filled = files.stream().filter(file -> file.rows > 0).collect(Collectors.toList());
        if (filled.isEmpty()) {
            throw Texts.noRows();
        }
        List<List<Column>> offered = filled.stream().map(file -> file.offered(named)).collect(Collectors.toList());
        Texts.agree(filled.stream().map(file -> file.path).collect(Collectors.toList()), offered, named);
        Choice choice = Choice.of(offered.get(0), named);
        List<String> names = Texts.names(choice);
        int[] kind = kinds.stream().mapToInt(k -> (int) k[0]).toArray();
        return new Texts(pieces, (piece, report, block, conf) ->
            new JsonBlocks(piece, kind[piece.file], names, report, block, conf), choice, null);
    }
}
