# What happens inside the guest of run.sh. Each step is a command that must hold; its output is
# shown when it does not.
exec > >(cat) 2>&1
export SYSTEMD_PAGER=cat NO_COLOR=1 SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0
ok=0 failed=0 said=/run/said
unit=/etc/systemd/system/sickbay.service
url=http://127.0.0.1:8790

step() { # step NAME COMMAND...: COMMAND succeeds
  local name=$1 code=0
  shift
  "$@" >"$said" 2>&1 || code=$?
  if [ $code = 0 ]; then
    ok=$((ok + 1)) && echo "ok      $name"
  else
    failed=$((failed + 1)) && echo "failed  $name (code $code)"
    sed 's/^/    /' "$said" | tail -n 40
  fi
}
says() { # says WORDS COMMAND...: its output has these words
  local words=$1
  shift
  "$@" 2>&1 | tee /run/output
  grep -qF -- "$words" /run/output
}
says_not() { ! says "$@"; }
ends() { # ends CODE COMMAND...: it ends with this code
  local code=0
  "${@:2}" || code=$?
  echo "ended with $code"
  [ $code = "$1" ]
}
show() { systemctl show -P "$1" sickbay; }
is() { echo "$1 is $(show "$1")" && [ "$(show "$1")" = "$2" ]; }
within() { # within SECONDS COMMAND...: it holds by then
  local end=$((SECONDS + $1))
  until "${@:2}"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 1
  done
}
takes_less() { # takes_less MILLISECONDS COMMAND...
  local began=$(date +%s%3N)
  "${@:2}" || return
  local took=$(($(date +%s%3N) - began))
  echo "took $took ms" && [ $took -lt "$1" ]
}
as_ada() { runuser -l ada -c "$*"; }
without_login() { runuser -u ada -- env -i HOME=/home/ada USER=ada PATH=/usr/local/bin:/usr/bin "$@"; }
none_runs() { ! pgrep -a -x sickbay && ! pgrep -a sickbay-child; }
priorities() { journalctl -u sickbay -o json --no-pager | jq -r "select(.MESSAGE | tostring | test(\"$1\")) | .PRIORITY" | sort -u; }
prioritised() { echo "$1: $(priorities "$1")" && [ "$(priorities "$1")" = "$2" ]; }
logs_not() { ! journalctl -u sickbay -o cat --no-pager | grep -- "$1"; }
inventory() { jq -S .inventory; }
series() { curl -s $url/metrics | grep -v '^#' | sed 's/ [^ ]*$//' | sort; }

install -m755 /run/try/sickbay /usr/local/bin/sickbay
useradd -m -s /bin/bash ada
useradd -m bob
echo "== $(systemctl --version | head -n 1), Linux $(uname -r), $(sickbay --version)"

echo "== Before it is installed"
step "there are no CA certificates here, and status works" ends 3 sickbay daemon status
step "start says that it is not installed" says "not installed" sickbay daemon start
step "uninstall says that nothing is there" ends 66 sickbay daemon uninstall
step "stop is no failure" sickbay daemon stop

echo "== The machine's service"
step "install" sickbay daemon install
step "systemd finds nothing wrong with the unit" says_not sickbay.service systemd-analyze verify $unit
step "it is active, by Type=notify" is ActiveState active
step "it is ready at once" curl -sf $url/readyz
step "it starts at boot" is UnitFileState enabled
step "status tells the data directory" says /var/lib/sickbay sickbay daemon status
step "status tells the process" says "$(show MainPID)" sickbay daemon status
step "status tells the version" says "$(sickbay --version | cut -d' ' -f2)" sickbay daemon status
step "status as JSON" eval 'sickbay daemon status --json | jq -e ".running and .hub.uptime_seconds > 0"'
step "data is for root alone" eval '[ "$(stat -c %a /var/lib/sickbay)" = 700 ]'
pid=$(show MainPID)
step "a second install changes nothing" says "already" sickbay daemon install
step "the hub went on meanwhile" is MainPID "$pid"
step "start says that it runs already" says already sickbay daemon start
step "the status line has a verdict once it has looked" within 60 says "healthy, score" systemctl status sickbay
cp /usr/local/bin/sickbay /usr/local/bin/sickbay.new && mv /usr/local/bin/sickbay.new /usr/local/bin/sickbay
step "install with a new program" says "started" sickbay daemon install
step "runs the new program" eval '[ "$(stat -Lc %i /proc/$(show MainPID)/exe)" = "$(stat -c %i /usr/local/bin/sickbay)" ]'
step "restart" sickbay daemon restart
step "stop within 2 s" takes_less 2000 systemctl stop sickbay
step "nothing is left running" none_runs
step "status says so" ends 3 sickbay daemon status
step "start" sickbay daemon start

echo "== What it sees from inside its unit"
runuser -u bob -- sleep 1000 &
step "a first look" within 90 eval "curl -s $url/api/v1/resources/node/guest | jq -e '[.probes[].probe] | index(\"latency\") and index(\"torch\")'"
sleep 20
curl -s $url/api/v1/resources/node/guest >/run/daemon.json
sickbay check --json >/run/check.json
step "the inventory is what check finds" diff <(inventory </run/daemon.json) <(jq '.items[0]' /run/check.json | inventory)
step "the checks are those of check" diff <(jq -c '[.checks[] | [.id, .level]] | sort' /run/daemon.json) <(jq -c '[.items[0].checks[] | [.id, .level]] | sort' /run/check.json)
step "the file systems are not read-only" eval "jq -e '[.inventory.filesystems[] | select(.read_only)] == []' /run/daemon.json"
series >/run/series.daemon
systemctl stop sickbay
sickbay up --quiet --data-dir /run/by-hand >/run/by-hand.log 2>&1 &
by_hand=$!
sleep 45
series >/run/series.by-hand
step "the metrics are those of a hub started by hand" diff /run/series.by-hand /run/series.daemon

echo "== When it cannot start"
step "a port in use ends as 75" ends 75 sickbay daemon start
step "start says why" says "is in use by another program" sickbay daemon start
step "systemctl status says why" says "is in use by another program" systemctl status sickbay
step "install says why" says "is in use by another program" sickbay daemon install
sleep 6
step "it is not tried again" is NRestarts 0
step "status tells the other hub apart" says "process $by_hand is another hub" sickbay daemon status
kill $by_hand && wait $by_hand
step "it starts once the port is free" sickbay daemon start
echo 'lissten: 1' >/etc/sickbay/config.yaml
step "a wrong configuration is refused at reload" systemctl reload sickbay
step "and status says so" within 10 says refused sickbay daemon status
step "a restart with it fails" ends 1 systemctl restart sickbay
step "and says where the mistake is" says "config.yaml:1:1" systemctl status sickbay
step "and is not tried again" is NRestarts 0
rm /etc/sickbay/config.yaml
step "it starts without it" sickbay daemon start
echo 'log: {level: debug}' >/etc/sickbay/config.yaml
step "a good configuration" systemctl reload sickbay
step "is in force" within 10 says "log.level changed" journalctl -u sickbay --no-pager
rm /etc/sickbay/config.yaml && systemctl reload sickbay

echo "== The journal"
step "has no colours" logs_not $'\x1b'
step "has information as 6" prioritised "sickbay_hub.*started on" 6
step "has errors as 3" prioritised "configuration is refused" 3
step "has what ended it as 3" prioritised "^error:" 3
step "has each time once" logs_not '^20[0-9-]*T'

echo "== A hub that hangs (this takes a minute or two)"
pid=$(show MainPID)
systemctl kill -s STOP sickbay
step "is started again" within 100 eval '[ "$(show MainPID)" != '"$pid"' ] && curl -sf -m 2 $url/readyz'
step "because the watchdog said so" says "Watchdog timeout" journalctl -u sickbay --no-pager
step "by one restart" is NRestarts 1

echo "== A hub that dies again and again"
mkdir -p /etc/systemd/system/sickbay.service.d
printf '[Service]\nRestartSec=100ms\nExecStart=\nExecStart=/bin/false\n' >/etc/systemd/system/sickbay.service.d/dies.conf
systemctl daemon-reload
systemctl restart sickbay
step "is given up at last" within 60 is ActiveState failed
step "after ten starts" within 5 eval '[ "$(show NRestarts)" -ge 5 ] && [ "$(show NRestarts)" -le 10 ]'
rm -r /etc/systemd/system/sickbay.service.d && systemctl daemon-reload
step "and can be started by hand" sickbay daemon start

echo "== Uninstall"
step "uninstall" sickbay daemon uninstall
step "nothing is left running" none_runs
step "the unit is gone" ends 4 systemctl status sickbay
step "the data is not" test -s /var/lib/sickbay/sickbay.db
step "in the background it works without the unit" sickbay daemon start --background
step "and keeps the unit from being installed" ends 75 sickbay daemon install
step "and stops" sickbay daemon stop

echo "== A user's service"
step "no manager: install says so" says "does not answer" without_login sickbay daemon install
step "and leaves nothing behind" test ! -e /home/ada/.config/systemd
step "and so does start" says "does not answer" without_login sickbay daemon start
step "the machine's is not for users" ends 77 as_ada sickbay daemon install --system
step "install" says "enable-linger" as_ada sickbay daemon install
loginctl enable-linger ada
step "with lingering, no word about it" says_not "enable-linger" as_ada sickbay daemon install
step "without a login, it is found too" says "systemd (user): active" without_login sickbay daemon status
step "status tells the data directory" says /home/ada/.local/state/sickbay as_ada sickbay daemon status
step "reload" as_ada systemctl --user reload sickbay
step "restart" as_ada sickbay daemon restart
step "root's status sees the other hub" says "started by hand" sickbay daemon status
step "stop within 2 s" takes_less 4000 as_ada systemctl --user stop sickbay
step "uninstall" as_ada sickbay daemon uninstall
step "nothing is left running" none_runs

echo "$ok ok, $failed failed"
sleep 1
systemctl poweroff --force
