# Reads "+ <session>" and "- <session>" until the host program ends, then kills what is on the list.
trap '' INT TERM HUP QUIT PIPE
sessions=' '
while read -r sign session; do
  case $sign in
    +) sessions="$sessions$session " ;;
    -) case $sessions in *" $session "*) sessions="${sessions%% "$session" *} ${sessions#* "$session" }" ;; esac ;;
  esac
done
for session in $sessions; do kill -KILL "-$session"; done 2>/dev/null
# Whoever left the leader's process group is still of its session. Look until there is nobody new.
killed=' '
again=$sessions
while [ -n "${again# }" ]; do
  again=
  for stat in /proc/[0-9]*/stat; do
    read -r line 2>/dev/null <"$stat" || continue
    process=${line%% *}
    # State, parent, process group and session follow the name, which may hold anything.
    set -- ${line##*) }
    case $1 in Z | X) continue ;; esac
    case $sessions in *" $4 "*) ;; *) continue ;; esac
    case $killed in *" $process "*) continue ;; esac
    killed="$killed$process "
    again=1
    kill -KILL "$process" 2>/dev/null
  done 2>/dev/null
done
[ -z "$directory" ] || rm -rf -- "$directory"
