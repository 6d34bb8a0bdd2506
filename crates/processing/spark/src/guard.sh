# Runs a command in this process group; when standard input ends, asks the whole group to stop and then makes it.
exec 3<&0 </dev/null
trap : TERM
{
  read -r _ <&3
  trap '' TERM
  kill -TERM 0
  sleep 5
  kill -KILL 0
} >/dev/null 2>&1 &
guard=$!
"$@" 3<&- &
job=$!
exec 3<&-
wait "$job"
code=$?
# A signal ends the wait before the job.
while kill -0 "$job" 2>/dev/null; do
  wait "$job"
  code=$?
done
kill -KILL "$guard" 2>/dev/null
exit "$code"
