# Parses a .env file in Compose's format (docs.docker.com, "Env file syntax"): quotes, escapes, inline comments, `export`, CRLF,
# values over several lines, interpolation. Prints shell commands, quoted so that nothing in a value is ever run:
#   setting NAME 'VALUE'              for each variable, in the order of the file
#   setting_error 'line 3: ...'       for each line that is not valid
# In an interpolation the environment overrides the file.
{ text = text $0 "\n" }

END {
  sub(/^\357\273\277/, "", text)
  at = 1
  size = length(text)
  while (at <= size) statement()
  for (i = 1; i <= count; i++) printf "setting %s %s\n", names[i], quoted(values[names[i]])
}

function quoted(value,  parts, n, i, out) {
  n = split(value, parts, "'")
  out = "'" parts[1]
  for (i = 2; i <= n; i++) out = out "'\\''" parts[i]
  return out "'"
}

function peek() { return substr(text, at, 1) }
function skip_blanks() { while (peek() == " " || peek() == "\t") at++ }
function skip_line() { while (at <= size && peek() != "\n") at++; at++ }

function statement(  name, value) {
  while (at <= size && peek() ~ /[ \t\n\r]/) at++
  if (at > size) return
  if (peek() == "#") { skip_line(); return }
  if (substr(text, at) ~ /^export[ \t]/) { at += 6; skip_blanks() }
  name = ""
  while (peek() ~ /[A-Za-z0-9_.]/) name = name substr(text, at++, 1)
  skip_blanks()
  if (name !~ /^[A-Za-z_][A-Za-z0-9_]*$/ || (peek() != "=" && peek() != ":")) {
    # A name alone is Compose's way to pass a variable on from the environment.
    if (name !~ /^[A-Za-z_][A-Za-z0-9_]*$/ || peek() !~ /^[\r\n#]?$/) error("expected NAME=VALUE")
    skip_line()
    return
  }
  at++
  skip_blanks()
  if (peek() == "'") value = single_quoted()
  else if (peek() == "\"") value = double_quoted()
  else value = unquoted()
  if (!(name in values)) names[++count] = name
  values[name] = value
}

function error(message,  line, before) {
  before = substr(text, 1, at - 1)
  line = gsub(/\n/, "", before) + 1
  printf "setting_error %s\n", quoted("line " line ": " message)
}

# Literal, but for \' and for what may follow on the line.
function single_quoted(  c, value) {
  for (at++; at <= size; at++) {
    c = peek()
    if (c == "\\" && substr(text, at + 1, 1) == "'") { value = value "'"; at++; continue }
    if (c == "'") { at++; skip_line(); return value }
    value = value c
  }
  error("a quote is not closed")
  return value
}

function double_quoted(  c, d, value) {
  for (at++; at <= size; at++) {
    c = peek()
    if (c == "\\") {
      d = substr(text, ++at, 1)
      if (d == "n") value = value "\n"
      else if (d == "r") value = value "\r"
      else if (d == "t") value = value "\t"
      else if (d ~ /["\\$]/) value = value d
      else value = value "\\" d
      continue
    }
    if (c == "\"") { at++; skip_line(); return value }
    if (c == "$") { value = value expansion(); continue }
    value = value c
  }
  error("a quote is not closed")
  return value
}

# Up to a blank with a comment, or the end of the line.
function unquoted(  c, value) {
  for (; at <= size && peek() != "\n"; at++) {
    c = peek()
    if (c == "#" && value != "" && substr(text, at - 1, 1) ~ /[ \t]/) break
    if (c == "$") { value = value expansion(); continue }
    value = value c
  }
  skip_line()
  sub(/[ \t\r]+$/, "", value)
  return value
}

function lookup(name) { return name in ENVIRON ? ENVIRON[name] : name in values ? values[name] : "" }
function is_set(name) { return name in ENVIRON || name in values }

# $NAME or ${NAME...}, leaving `at` on its last character. Anything else that begins with $ stays as it is.
function expansion(  rest, name, body, depth, c, op, word, value) {
  rest = substr(text, at + 1)
  if (match(rest, /^[A-Za-z_][A-Za-z0-9_]*/)) {
    name = substr(rest, 1, RLENGTH)
    at += RLENGTH
    return lookup(name)
  }
  if (substr(rest, 1, 1) == "$") { at++; return "$" }
  if (!match(rest, /^\{[A-Za-z_][A-Za-z0-9_]*/)) return "$"
  name = substr(rest, 2, RLENGTH - 1)
  at += RLENGTH + 1
  depth = 1
  for (; at <= size; at++) {
    c = peek()
    if (c == "{") depth++
    if (c == "}" && --depth == 0) break
    if (c == "\n") { error("${" name " is not closed"); at--; return "" }
    body = body c
  }
  value = lookup(name)
  if (!match(body, /^:?[-?+]/)) return value
  op = substr(body, 1, RLENGTH)
  word = substr(body, RLENGTH + 1)
  if (op ~ /-/) return (op == ":-" ? value != "" : is_set(name)) ? value : expanded(word)
  if (op ~ /[+]/) return (op == ":+" ? value != "" : is_set(name)) ? expanded(word) : ""
  if (op == ":?" ? value != "" : is_set(name)) return value
  error(name ": " (word == "" ? "required variable is missing a value" : word))
  return ""
}

# The word of ${NAME:-word}, which may have expansions itself.
function expanded(word,  saved_text, saved_at, saved_size, value, c) {
  saved_text = text; saved_at = at; saved_size = size
  text = word; size = length(word)
  for (at = 1; at <= size; at++) {
    c = peek()
    value = value (c == "$" ? expansion() : c)
  }
  text = saved_text; at = saved_at; size = saved_size
  return value
}
