#!/bin/sh
# Starts a daemon in session mode with the example jobs, shows what it does, checks it, and leaves it running.
#
#     examples/show.sh PROGRAMS      PROGRAMS: the folder with upstart-compat, initctl and python
#     examples/show.sh --end         ends the daemon that was left running
#
# As any user. Everything it writes is in one folder, below XDG_RUNTIME_DIR or else the folder for
# temporary files. A daemon that an earlier run left is ended first. The exit status is 0 only if
# every step showed what it should.
set -eu

examples=$(cd "$(dirname "$0")" && pwd)
case ${XDG_RUNTIME_DIR:-} in
    /*) folder=$XDG_RUNTIME_DIR/upstart-compat-examples ;;
    *) folder=${TMPDIR:-/tmp}/upstart-compat-examples-$(id -u)
       XDG_RUNTIME_DIR=$folder/run ;;
esac
export XDG_RUNTIME_DIR

fail() {
    echo "show: $1" >&2
    exit 1
}

# until_true SECONDS COMMAND…: whether the command succeeds within that time.
until_true() {
    tries=$(($1 * 10))
    shift
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.1
    done
}

# -- the daemon of an earlier run ---------------------------------------------------------------------

# A pid alone may be anybody's by now; ours was started with this folder in its command line.
is_running() { tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF -- "--confdir $folder/jobs "; }
is_gone() { ! is_running "$1"; }

end_daemon() {
    [ -r "$folder/daemon.pid" ] || return 1
    old=$(cat "$folder/daemon.pid")
    is_running "$old" || return 1
    kill -TERM "$old"
    until_true 20 is_gone "$old" || kill -KILL "$old"
    echo "Ended the daemon of an earlier run (pid $old) and its jobs."
}

case ${1:-} in
    --end) end_daemon || echo 'No daemon is running.'; exit 0 ;;
    '' | -*) fail 'usage: show.sh PROGRAMS | show.sh --end' ;;
esac
programs=$(cd "$1" && pwd)
for program in upstart-compat initctl python; do
    [ -x "$programs/$program" ] || fail "no $program in $programs"
done

# The name of the folder can be guessed by other users, so it must not be theirs.
if [ -e "$folder" ] || [ -L "$folder" ]; then
    [ -d "$folder" ] && [ ! -L "$folder" ] && [ -O "$folder" ] || fail "not a folder of yours: $folder"
    end_daemon || :
    rm -rf "$folder"
fi
mkdir -m 700 "$folder"
mkdir "$folder/jobs" "$folder/log" "$folder/bin"
[ -d "$XDG_RUNTIME_DIR" ] || mkdir -m 700 "$XDG_RUNTIME_DIR"

# -- this run's daemon ----------------------------------------------------------------------------------

for file in "$examples"/*.conf "$examples"/*.override; do
    sed "s|@EXAMPLES@|$examples|g" "$file" >"$folder/jobs/${file##*/}"
done
"$programs/upstart-compat" links --enable --directory="$folder/bin"

# Jobs of a session have the daemon's environment: start and stop, python3, and where pid files go.
PATH=$folder/bin:$programs:$PATH
HADOOP_PID_DIR=$folder
export PATH HADOOP_PID_DIR
unset UPSTART_SESSION UPSTART_JOB UPSTART_INSTANCE

echo "\$ upstart-compat --user --confdir $folder/jobs --logdir $folder/log --verbose --no-dbus"
setsid "$programs/upstart-compat" --user --confdir "$folder/jobs" --logdir "$folder/log" --verbose --no-dbus \
    </dev/null >"$folder/daemon.log" 2>&1 &
daemon=$!
echo "$daemon" >"$folder/daemon.pid"

session=$XDG_RUNTIME_DIR/upstart/sessions/$daemon.session
# It answers, or it has ended.
is_decided() {
    if grep -qs '^State:[[:space:]]*[^Z]' "/proc/$daemon/status"; then
        [ -s "$session" ] && UPSTART_SESSION=$(sed -n 's/^UPSTART_SESSION=//p' "$session") && export UPSTART_SESSION && initctl version
    fi
}
until_true 15 is_decided || :
if [ -z "${UPSTART_SESSION:-}" ] || ! initctl version >/dev/null; then
    cat "$folder/daemon.log" >&2
    fail 'the daemon does not answer; above is what it printed'
fi

# -- showing and checking -----------------------------------------------------------------------------------

wrong=0
output=

step() { printf '\n== %s\n' "$1"; }

# run COMMAND…: shows a command and what it prints.
run() {
    echo "\$ $*"
    output=$("$@" 2>&1) || output="$output
[exit status $?]"
    [ -z "$output" ] || echo "$output"
}

# check WHAT COMMAND…: whether the command succeeds within five seconds.
check() {
    what=$1
    shift
    if until_true 5 "$@"; then
        echo "   ok: $what"
    else
        echo "   WRONG: $what"
        wrong=$((wrong + 1))
    fi
}

printed() { printf '%s\n' "$output" | grep -qxE -- "$1"; }
status_is() { initctl status "$1" | grep -qxE -- "$1 $2"; }
logged() { grep -qF -- "$2" "$folder/log/$1.log"; }
pid_of() { initctl status "$1" | sed -n 's/.* start\/running, process \([0-9]*\)$/\1/p'; }
has_new_pid() { new=$(pid_of "$1") && [ -n "$new" ] && [ "$new" != "$2" ]; }
times_logged() { [ "$(tr -d '\r' <"$folder/log/$1.log" | grep -cxF -- "$2")" = "$3" ]; }
is_in_pid_file() { printed "hadoop-hdfs-datanode start/running, process $(cat "$folder/datanode.pid")"; }
answers() { "$programs/python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "$1"; }

step 'What there is: every job file was read'
run initctl list
for file in "$folder"/jobs/*.conf; do
    name=${file##*/}
    check "${name%.conf} is listed" printed "${name%.conf} stop/waiting"
done

step 'An event starts what waits for it, and what waits for that'
run initctl emit filesystem
check 'storage runs (it has no process)' status_is storage start/running
run initctl status api
check 'api was started by storage' printed 'api start/running, process [0-9]+'
check 'metrics was not: metrics.override says manual' status_is metrics stop/waiting

step 'A service, started by hand'
port=$("$programs/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
run initctl start web "PORT=$port"
check 'web runs' printed 'web start/running, process [0-9]+'
check "http://127.0.0.1:$port/ answers" answers "http://127.0.0.1:$port/"

step 'It crashes, and is started again'
old=$(pid_of web)
run kill -KILL "${old:-0}"
check "web has another pid than $old" has_new_pid web "$old"
run initctl status web
check "http://127.0.0.1:$port/ answers again" answers "http://127.0.0.1:$port/"

step 'Instances, a task, and a daemon that goes into the background'
run initctl start worker N=1
check 'worker 1 runs' printed 'worker \(1\) start/running, process [0-9]+'
run start worker N=2
check 'worker 2 runs' printed 'worker \(2\) start/running, process [0-9]+'
run initctl start backup
check 'backup is done when start returns' printed 'backup stop/waiting'
check 'backup wrote its log' logged backup "bytes of $examples"
run initctl start hadoop-hdfs-datanode
check 'the pid is that of the pid file, not of the wrapper' \
    is_in_pid_file

step 'A job file is changed: restart keeps the old one, stop and start take the new one'
echo "\$ sed -i 's/version one/version two/' api.conf"
sed 's/version one/version two/' "$folder/jobs/api.conf" >"$folder/api.conf.new"
mv "$folder/api.conf.new" "$folder/jobs/api.conf"
run initctl restart api
check 'restarted with the old file' times_logged api 'api: version one' 2
run initctl stop api
check 'api is stopped' printed 'api stop/waiting'
run initctl start api
check 'started with the new file' times_logged api 'api: version two' 1

step 'What api and the end of its chain printed'
run cat "$folder/log/api.log"
check 'cleanup ran when api was stopped' logged cleanup 'cleanup: api ended, result ok'
run cat "$folder/log/cleanup.log"

step 'The end'
run initctl list
if [ $wrong -gt 0 ]; then
    echo
    echo "The last lines of $folder/daemon.log:"
    tail -n 30 "$folder/daemon.log"
fi
cat <<EOF

The daemon runs on (pid $daemon). To talk to it:

    export UPSTART_SESSION=$UPSTART_SESSION
    export PATH=$folder/bin:\$PATH
    initctl list

Its job files are in $folder/jobs, the logs of the jobs in
$folder/log, its own in $folder/daemon.log.
To end it and its jobs: make stop
EOF
if [ $wrong -gt 0 ]; then
    echo
    fail "$wrong checks went wrong"
fi
