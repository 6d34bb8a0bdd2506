//! The RDD pipeline: partition by partition, states that merge, and as many looks into the values as their order needs.
package caudal;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function2;
import org.apache.spark.broadcast.Broadcast;

final class RddPipeline {
    /** Values that one look may bring to the driver, of all columns together, about. */
    private static final long FETCHED = 1 << 20;
    private static final int RANGES = 64;
    /** Partitions whose states the driver merges itself. */
    private static final int FEW = 16;
    private final JavaSparkContext sc;
    private final JavaRDD<Block> blocks;
    private final int columns;
    private final boolean distinct;

    RddPipeline(JavaSparkContext sc, JavaRDD<Block> blocks, int columns, boolean distinct) {
        this.sc = sc;
        this.blocks = blocks;
        this.columns = columns;
        this.distinct = distinct;
    }

    /** How many values of one range are fetched rather than counted in parts. */
    static long fetched(int columns) {
        return Math.max(32, FETCHED / RANGES / columns);
    }

    List<Profile> profile() {
        Events.step("rdd: moments, prefixes and frequencies");
        int width = columns;
        Survey survey = reduce(blocks.mapPartitionsWithIndex(
            (i, it) -> Collections.singleton(Survey.of(i, it, width)).iterator(), true), Survey::merge);
        List<Profile> profiles = new ArrayList<>();
        List<Values> values = new ArrayList<>();
        for (int c = 0; c < columns; c++) {
            Moments moments = survey.moments(c);
            Ordered ordered = moments.count() == 0 ? null : Ordered.of(survey.prefixes[c], moments.min, moments.max);
            profiles.add(new Profile(moments, survey.inexact[c], ordered));
            values.add(new Values(survey.frequencies[c], distinct));
        }
        look(profiles, values);
        Shuffle.Wanted[] open = values.stream().map(Values::open).toArray(Shuffle.Wanted[]::new);
        if (java.util.Arrays.stream(open).anyMatch(java.util.Objects::nonNull)) {
            Events.step("rdd: values of unresolved hash buckets");
            Shuffle.Counted[] counted = Shuffle.count(sc, blocks, open);
            for (int c = 0; c < columns; c++) {
                if (counted[c] != null) {
                    values.get(c).brought(counted[c]);
                }
            }
        }
        for (int c = 0; c < columns; c++) {
            values.get(c).into(profiles.get(c));
        }
        return profiles;
    }

    /** Looks into ranges until every order statistic is exact; the first look counts the hot buckets too. */
    private void look(List<Profile> profiles, List<Values> values) {
        for (int number = 1; ; number++) {
            Look.Plan plan = new Look.Plan(columns);
            List<List<Ordered.Range>> asked = new ArrayList<>();
            boolean any = false;
            for (int c = 0; c < columns; c++) {
                asked.add(profiles.get(c).ask());
                plan.probes[c] = asked.get(c).isEmpty() ? null : new Probe(asked.get(c), fetched(columns));
                plan.hot[c] = number == 1 ? values.get(c).hot(Values.mostHot(columns)) : null;
                any |= plan.probes[c] != null || plan.hot[c] != null;
            }
            if (!any) {
                return;
            }
            Events.step("rdd: values around ranks and thresholds, look " + number);
            Broadcast<Look.Plan> sent = sc.broadcast(plan);
            Look look = reduce(blocks.mapPartitions(
                it -> Collections.singleton(Look.of(sent.value(), it)).iterator()), Look::merge);
            sent.unpersist();
            for (int c = 0; c < columns; c++) {
                if (plan.probes[c] != null) {
                    profiles.get(c).ordered.replace(asked.get(c), plan.probes[c].parts(asked.get(c), look.found[c]));
                }
                if (plan.hot[c] != null) {
                    values.get(c).counted(look.counts[c]);
                }
            }
        }
    }

    /** Merges the states of partitions: by a tree where they are many, in their order where they are few. */
    static <S> S reduce(JavaRDD<S> states, Function2<S, S, S> merge) {
        if (states.getNumPartitions() > FEW) {
            return states.treeReduce(merge, 2);
        }
        S all = null;
        for (S state : states.collect()) {
            try {
                all = all == null ? state : merge.call(all, state);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
        return all;
    }
}
