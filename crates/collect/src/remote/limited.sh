# Runs a command for at most so many seconds: 124 when it was late. Its errors go where its output
# goes, unless "$quiet" says otherwise. The command is waited for by a shell of its own, which ends
# the clock (for good: what a fresh process could catch, it may lose); one that cannot be killed is
# left alone. "$G" is a minus where the command leads a group of processes: then all of that ends.
limited() {
limit=$1
shift
sleep "$limit" 3<&- >/dev/null &
z=$!
(
trap 'kill -9 "$G$k"; exit' TERM
if [ -n "$quiet" ]; then
"$@" &
else
"$@" 2>&1 &
fi
k=$!
wait "$k"
r=$?
kill -9 "$z"
exit "$r"
) 3<&- &
j=$!
wait "$z"
if [ $? -gt 128 ]; then
wait "$j"
return
fi
kill "$j"
wait "$j"
return 124
}
