//! What the job says while it runs: lines of JSON on stdout that begin with CAUDAL.
package caudal;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.spark.SparkContext;

final class Events {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** The job's property that carries the phase to the listener. */
    static final String PHASE = "caudal.phase";

    private Events() {}

    static ObjectNode event(String name) {
        return JSON.createObjectNode().put("event", name);
    }

    static synchronized void say(ObjectNode event) {
        System.out.println("CAUDAL " + event);
        System.out.flush();
    }

    /** Names what Spark does from here on; the part before the colon is the phase that it is counted in. */
    static void step(String name) {
        SparkContext sc = SparkContext.getOrCreate();
        sc.setJobDescription(name);
        sc.setLocalProperty(PHASE, name.split(":")[0]);
    }

    static void fault(Fault fault) {
        ObjectNode event = event("fault").put("kind", fault.kind);
        ArrayNode errors = event.putArray("errors");
        for (Fault.Place place : fault.places) {
            errors.addObject().put("detail", place.detail).put("file", place.file).put("row", place.row).put("column", place.column)
                .put("at", place.at);
        }
        say(event.put("errors_total", fault.total).put("hint", fault.hint));
    }
}
