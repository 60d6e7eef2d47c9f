using System.CommandLine;
using GemmaCore.Generation.Constraints;

namespace GemmaCore.Cli;

/// <summary>What an answer may be, as options.</summary>
internal sealed class ConstraintOptions
{
    private readonly Option<string?> _schema = new("--json-schema") { Description = "file with a JSON schema that the answer has to keep to" };
    private readonly Option<string?> _regex = new("--regex") { Description = "regular expression that the answer has to match as a whole" };
    private readonly Option<string[]> _choices = new("--choice") { Description = "one of the answers allowed; repeated for each" };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_schema, _regex, _choices]) command.Add(option);
    }

    /// <summary>The constraint that was asked for; null for none.</summary>
    /// <exception cref="UsageException">More than one was asked for.</exception>
    public Constraint? Read(ParseResult parsed, ConstraintCompiler compiler)
    {
        string? schema = parsed.GetValue(_schema), regex = parsed.GetValue(_regex);
        string[] choices = parsed.GetValue(_choices) ?? [];
        if ((schema is null ? 0 : 1) + (regex is null ? 0 : 1) + (choices.Length > 0 ? 1 : 0) > 1) throw new UsageException("--json-schema, --regex and --choice exclude each other");
        if (schema is not null) return compiler.JsonSchema(File.ReadAllText(schema));
        if (regex is not null) return compiler.Regex(regex);
        return choices.Length > 0 ? compiler.Choice(choices) : null;
    }
}
