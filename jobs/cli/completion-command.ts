/**
 * `reprise completion SHELL` prints what a shell needs to complete `reprise`; the scripts ask
 * `reprise complete SHELL -- WORDS..` for candidates. Invariant: a script knows nothing of commands
 * and options, so that one stays right when they change.
 */
import { Argument, type Command } from 'commander';
import { EXIT } from './exit-codes.js';
import { writeData } from './terminal.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function addCompletion(program: Command, report: (code: number) => void): void {
  const shell = () => new Argument('<shell>', 'the shell').choices(SHELLS);
  program
    .command('completion')
    .description('print a script by which a shell completes this command')
    .addArgument(shell())
    .addHelpText('after', INSTALL)
    .action(async (name: Shell) => {
      await writeData(SCRIPTS[name]);
      report(EXIT.done);
    });
  program
    .command('complete', { hidden: true })
    .addArgument(shell())
    .argument('[words...]')
    .action(async (name: Shell, words: string[]) => {
      await writeData(await answer(program, name, words));
      report(EXIT.done);
    });
}

/** Candidates a line, then what the shell is to offer of its own. */
async function answer(program: Command, shell: Shell, given: readonly string[]): Promise<string> {
  const { complete } = await import('./complete.js');
  const words = shell === 'bash' ? joined(given).map(unquoted) : given;
  const { candidates, offer } = await complete(program, words).catch(() => ({
    candidates: [],
    offer: 'nothing',
  }));
  // Bash puts in what comes after the last `=` alone.
  const from = shell === 'bash' ? (words.at(-1) ?? '').lastIndexOf('=') + 1 : 0;
  return [...candidates.map((one) => one.slice(from)), `:${offer}`, ''].join('\n');
}

/** Bash takes `a=b` for three words. */
function joined(words: readonly string[]): string[] {
  const result: string[] = [];
  for (const [i, word] of words.entries()) {
    const isPart = i > 0 && (word === '=' || words[i - 1] === '=');
    if (isPart) result[result.length - 1] += word;
    else result.push(word);
  }
  return result;
}

/** Bash hands over words as they were typed. */
function unquoted(word: string): string {
  return word.replace(/\\(.)|'([^']*)'?|"([^"]*)"?/g, '$1$2$3');
}

const INSTALL = `
bash: add to ~/.bashrc    eval "$(reprise completion bash)"
zsh:  add to ~/.zshrc     eval "$(reprise completion zsh)"
fish: run once            reprise completion fish > ~/.config/fish/completions/reprise.fish`;

const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `_reprise() {
  local current="\${COMP_WORDS[COMP_CWORD]}" line offer=:nothing
  [ "$current" = = ] && current=
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :*) offer="$line" ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <("\${COMP_WORDS[0]}" complete bash -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  case "$offer" in
    :nothing)
      case "\${COMPREPLY[*]}" in *=|*.) compopt -o nospace 2>/dev/null ;; esac
      return ;;
  esac
  compopt -o filenames 2>/dev/null
  while IFS= read -r line; do
    case "$offer" in
      :jobs) [ -d "$line" ] || case "$line" in *.yaml|*.yml) ;; *) continue ;; esac ;;
      :folders) [ -d "$line" ] || continue ;;
    esac
    COMPREPLY+=("$line")
  done < <(compgen -f -- "$current")
}
complete -F _reprise reprise
`,
  zsh: `#compdef reprise
_reprise() {
  local -a lines spaced open
  local offer line
  lines=("\${(@f)$("\${words[1]}" complete zsh -- "\${(Q@)words[2,CURRENT]}" 2>/dev/null)}")
  offer="\${lines[-1]}"
  for line in "\${(@)lines[1,-2]}"; do
    case "$line" in
      *=|*.) open+=("$line") ;;
      *) spaced+=("$line") ;;
    esac
  done
  (( \${#spaced} )) && compadd -- "\${spaced[@]}"
  (( \${#open} )) && compadd -S '' -- "\${open[@]}"
  case "$offer" in
    :files) _files ;;
    :folders) _files -/ ;;
    :jobs) _files -g '*.(yaml|yml)' ;;
  esac
}
if [ "$funcstack[1]" = "_reprise" ]; then _reprise "$@"; else compdef _reprise reprise; fi
`,
  fish: `function __reprise_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l lines ($words[1] complete fish -- $words[2..-1] 2>/dev/null)
  for line in $lines
    switch $line
      case ':nothing'
      case ':folders'
        __fish_complete_directories (commandline -ct)
      case ':jobs' ':files'
        __fish_complete_path (commandline -ct)
      case '*'
        echo $line
    end
  end
end
complete -c reprise -f -a '(__reprise_complete)'
`,
};
