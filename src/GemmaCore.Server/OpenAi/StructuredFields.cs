using System.Text.Json;
using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;

namespace GemmaCore.Server.OpenAi;

/// <summary>
/// What an answer may be: OpenAI's <c>response_format</c>, vLLM's <c>structured_outputs</c>, and its older <c>guided_json</c>, <c>guided_regex</c> and <c>guided_choice</c>.
/// </summary>
internal static class StructuredFields
{
    private const int MostChoices = 1024;

    /// <summary>Field names that <see cref="Read"/> looks at.</summary>
    public static readonly string[] Names = ["response_format", "structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar"];

    /// <summary>The constraint that a request asks for; null for none.</summary>
    /// <exception cref="RequestException">It is malformed, not supported, or there are several.</exception>
    public static Constraint? Read(RequestField body, ConstraintCompiler compiler)
    {
        Constraint? found = null;
        foreach (string name in Names)
        {
            RequestField field = body[name];
            if (field.IsNull) continue;
            Constraint? read = name switch
            {
                "response_format" => Format(field, compiler),
                "structured_outputs" => Structured(field, compiler),
                _ => One(name["guided_".Length..], field, compiler),
            };
            if (read is null) continue;
            found = found is null ? read : throw RequestException.Invalid($"'{name}' and another field both say what the answer may be; give one", name, "invalid_value");
        }

        return found;
    }

    /// <summary>Compiles what stands in a field, and blames the field for what is wrong with it.</summary>
    public static Constraint Compile(RequestField field, Func<Constraint> compile)
    {
        try
        {
            return compile();
        }
        catch (InputException error)
        {
            throw RequestException.Invalid($"Invalid value for '{field.Path}': {error.Message}", field.Path, "invalid_value");
        }
    }

    private static Constraint? Format(RequestField format, ConstraintCompiler compiler)
    {
        string type = format["type"].Required().Text();
        switch (type)
        {
            case "text":
                format.AllowOnly(["type"]);
                return null;
            case "json_object":
                format.AllowOnly(["type"]);
                return compiler.JsonObject();
            case "json_schema":
                format.AllowOnly(["type", "json_schema"]);
                RequestField named = format["json_schema"].Required();
                named.AllowOnly(["name", "description", "schema", "strict"]);
                CheckName(named["name"].Required());
                named["strict"].FlagOr(false); // a schema is obeyed either way
                RequestField schema = named["schema"];
                return schema.IsNull ? compiler.JsonObject() : Schema(schema, compiler);
            default:
                throw format["type"].Wrong("text, json_object or json_schema");
        }
    }

    private static Constraint Structured(RequestField structured, ConstraintCompiler compiler)
    {
        (string Name, RequestField Value)[] given = [.. structured.Members().Where(member => !member.Value.IsNull)];
        if (given.Length != 1) throw structured.Wrong("exactly one of json, regex, choice and json_object");
        return One(given[0].Name, given[0].Value, compiler);
    }

    private static Constraint One(string kind, RequestField field, ConstraintCompiler compiler)
    {
        switch (kind)
        {
            case "json":
                return Schema(field, compiler);
            case "regex":
                string expression = field.Text();
                return Compile(field, () => compiler.Regex(expression));
            case "choice":
                string[] choices = [.. field.Items(MostChoices).Select(choice => choice.Text())];
                return Compile(field, () => compiler.Choice(choices));
            case "json_object":
                return field.FlagOr(false) ? compiler.JsonObject() : throw field.Wrong("true");
            case "grammar" or "structural_tag":
                throw RequestException.Invalid($"'{field.Path}' is not supported; this server takes JSON schemas, regular expressions and choices", field.Path, "unsupported_parameter");
            default:
                throw RequestException.Invalid($"Unrecognized request argument supplied: {field.Path}", field.Path, "unknown_parameter");
        }
    }

    // vLLM takes a schema as text too.
    private static Constraint Schema(RequestField field, ConstraintCompiler compiler)
    {
        string schema = field.Kind == JsonValueKind.String ? field.Text() : field.Json();
        return Compile(field, () => compiler.JsonSchema(schema));
    }

    internal static void CheckName(RequestField name)
    {
        string text = name.Text();
        if (text.Length is 0 or > 64 || !text.All(character => char.IsAsciiLetterOrDigit(character) || character is '_' or '-')) throw name.Wrong("1 to 64 letters, digits, _ or -");
    }
}
