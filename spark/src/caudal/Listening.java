//! Waits until Spark has told its listeners everything that has happened.
package caudal;

import org.apache.spark.SparkContext;

final class Listening {
    private Listening() {}

    static void drain(SparkContext sc) {
        try {
            sc.listenerBus().waitUntilEmpty();
        } catch (NoSuchMethodError | java.util.concurrent.TimeoutException | RuntimeException e) {
            // A Spark without that call, or one that is stopping: metrics may then lack the last tasks.
            System.err.println("metrics may be incomplete: " + e);
        }
    }
}
