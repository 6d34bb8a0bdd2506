//! What Spark measures of itself: counted while stages run, and told as progress.
package caudal;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.spark.SparkContext;
import org.apache.spark.executor.TaskMetrics;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;
import org.apache.spark.scheduler.SparkListenerStageSubmitted;
import org.apache.spark.scheduler.SparkListenerTaskEnd;

/** A listener of one application; phases are named by {@link Events#step}. */
final class Metrics extends SparkListener {
    /** Milliseconds between two lines of progress of one stage, at least. */
    private static final long QUIET = 500;
    private static final String ALL = "";
    private final Map<String, Sums> phases = new HashMap<>();
    private final Map<Integer, Stage> stages = new HashMap<>();
    private final Set<String> executors = new HashSet<>();

    private static final class Stage {
        String step;
        String phase;
        int total;
        int done;
        long told;
    }

    private static final class Sums {
        final Set<String> stages = new HashSet<>();
        long tasks;
        long failed;
        long input;
        long output;
        long shuffleRead;
        long shuffleWritten;
        long spilled;
        long cpu;
        long run;
        long gc;
        long peak;
    }

    @Override
    public synchronized void onStageSubmitted(SparkListenerStageSubmitted event) {
        Stage stage = new Stage();
        stage.step = event.properties() == null ? "" : event.properties().getProperty("spark.job.description", "");
        stage.phase = event.properties() == null ? "" : event.properties().getProperty(Events.PHASE, "");
        stage.total = event.stageInfo().numTasks();
        stages.put(event.stageInfo().stageId(), stage);
    }

    @Override
    public synchronized void onTaskEnd(SparkListenerTaskEnd event) {
        Stage stage = stages.computeIfAbsent(event.stageId(), id -> new Stage());
        boolean failed = event.taskInfo().failed() || event.taskInfo().killed();
        executors.add(event.taskInfo().executorId());
        for (String phase : new String[] {ALL, stage.phase}) {
            Sums sums = phases.computeIfAbsent(phase, name -> new Sums());
            sums.stages.add(event.stageId() + "." + event.stageAttemptId());
            sums.tasks++;
            sums.failed += failed ? 1 : 0;
            add(sums, event.taskMetrics());
        }
        if (!failed) {
            stage.done++;
            tell(stage);
        }
    }

    private static void add(Sums sums, TaskMetrics task) {
        if (task == null) {
            return;
        }
        sums.input += task.inputMetrics().bytesRead();
        sums.output += task.outputMetrics().bytesWritten();
        sums.shuffleRead += task.shuffleReadMetrics().totalBytesRead();
        sums.shuffleWritten += task.shuffleWriteMetrics().bytesWritten();
        sums.spilled += task.diskBytesSpilled();
        sums.cpu += task.executorCpuTime();
        sums.run += task.executorRunTime();
        sums.gc += task.jvmGCTime();
        sums.peak = Math.max(sums.peak, task.peakExecutionMemory());
    }

    private static void tell(Stage stage) {
        long now = System.currentTimeMillis();
        if (stage.step != null && (stage.done == stage.total || now - stage.told >= QUIET)) {
            stage.told = now;
            Events.say(Events.event("progress").put("step", stage.step).put("done", stage.done).put("total", stage.total));
        }
    }

    @Override
    public void onExecutorRemoved(SparkListenerExecutorRemoved event) {
        Events.say(Events.event("executor_lost").put("executor", event.executorId()).put("reason", event.reason()));
    }

    /** Everything so far; {@code wall} in seconds. Waits until Spark has delivered its events. */
    synchronized ObjectNode all(SparkContext sc, double wall) {
        int cores = Math.max(1, sc.defaultParallelism());
        ObjectNode spark = Results.JSON.createObjectNode().put("application_id", sc.applicationId()).put("version", sc.version())
            .put("master", sc.master()).put("cores", cores).put("executors", executors.size()).put("wall_seconds", wall);
        Sums sums = phases.getOrDefault(ALL, new Sums());
        return fill(spark, sums).put("efficiency", sums.cpu / 1e9 / (wall * cores));
    }

    /** The stages of one phase; null where there were none. */
    synchronized ObjectNode of(String phase) {
        Sums sums = phases.get(phase);
        return sums == null ? null : fill(Results.JSON.createObjectNode(), sums);
    }

    private static ObjectNode fill(ObjectNode node, Sums sums) {
        return node.put("stages", sums.stages.size()).put("tasks", sums.tasks).put("failed_tasks", sums.failed)
            .put("input_bytes", sums.input).put("output_bytes", sums.output)
            .put("shuffle_read_bytes", sums.shuffleRead).put("shuffle_write_bytes", sums.shuffleWritten)
            .put("spill_bytes", sums.spilled).put("executor_cpu_seconds", sums.cpu / 1e9)
            .put("executor_run_seconds", sums.run / 1e3).put("gc_seconds", sums.gc / 1e3)
            .put("peak_execution_memory_bytes", sums.peak);
    }
}
