using GemmaCore.Generation.Constraints.Json;
using GemmaCore.Generation.Tools;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints;

/// <summary>
/// Compiles constraints for a model's vocabulary and keeps the ones used last, by content. Compiling takes milliseconds; it is done by whoever asks, before a request
/// is queued. Safe to use from several threads.
/// </summary>
public sealed class ConstraintCompiler
{
    /// <summary>Calls of tools in one answer where there may be several: enough for any question, and an end for a model that repeats itself.</summary>
    public const int MostParallelCalls = 16;

    /// <summary>Constraints that are kept.</summary>
    private const int MaxKept = 32;

    private const int MaxChoices = 1024, MaxChoiceLength = 1024;

    private readonly Lazy<VocabularyTrie> _trie;
    private readonly LinkedList<(string Key, Constraint Constraint)> _kept = [];
    private readonly Lock _lock = new();

    /// <summary>A compiler for a vocabulary; it is looked at when the first constraint comes.</summary>
    public ConstraintCompiler(Tokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        _trie = new Lazy<VocabularyTrie>(() => new VocabularyTrie(tokenizer));
    }

    internal VocabularyTrie Trie => _trie.Value;

    /// <summary>Texts that a regular expression matches as a whole; see <see cref="RegexReader"/> for what it may hold.</summary>
    /// <exception cref="InputException">It is malformed, uses what is not supported, or is too large.</exception>
    public Constraint Regex(string expression)
    {
        ArgumentNullException.ThrowIfNull(expression);
        return Keep("regex:" + expression, () => RegexReader.Read(expression));
    }

    /// <summary>One of several texts.</summary>
    /// <exception cref="InputException">There are none, too many, or one is empty or too long.</exception>
    public Constraint Choice(IReadOnlyList<string> texts)
    {
        ArgumentNullException.ThrowIfNull(texts);
        if (texts.Count is 0 or > MaxChoices) throw new InputException($"{texts.Count} choices; expected 1 to {MaxChoices}");
        if (texts.FirstOrDefault(text => string.IsNullOrEmpty(text) || text.Length > MaxChoiceLength) is { } wrong)
            throw new InputException($"a choice of {wrong.Length} characters; expected 1 to {MaxChoiceLength}");
        return Keep("choice:" + System.Text.Json.JsonSerializer.Serialize(texts, ConstraintJson.Default.IReadOnlyListString), () => Pattern.OneOf([.. texts.Select(Pattern.Text)]));
    }

    /// <summary>Any JSON object.</summary>
    public Constraint JsonObject() => Keep("object", () => JsonPatterns.Object(JsonPatterns.AnyValue()));

    /// <summary>JSON that a schema describes; see <see cref="SchemaReader"/> for the keywords.</summary>
    /// <exception cref="InputException">It is no schema, uses a keyword that is not supported, or is too large.</exception>
    public Constraint JsonSchema(string schema)
    {
        ArgumentNullException.ThrowIfNull(schema);
        return Keep("schema:" + schema, () => SchemaReader.Read(schema));
    }

    /// <summary>A call of one of some tools, in the form that <see cref="ToolPrompt"/> asks for, with arguments by the tool's schema.</summary>
    /// <param name="tools">The tools, at least one.</param>
    /// <param name="mostCalls">1, or how many calls there may be in a list.</param>
    /// <exception cref="InputException">A schema is malformed, uses what is not supported, or is too large; the message names the tool.</exception>
    public Constraint ToolCalls(IReadOnlyList<Tool> tools, int mostCalls)
    {
        ArgumentNullException.ThrowIfNull(tools);
        return Keep(KeyOf(tools, mostCalls), () => Calls(tools, mostCalls));
    }

    /// <summary>What a constraint allows, or instead of it calls as <see cref="ToolCalls"/> allows them: for a model that may call before it answers in a form.</summary>
    /// <param name="answer">The form of an answer, of this compiler.</param>
    /// <param name="tools">The tools, at least one.</param>
    /// <param name="mostCalls">1, or how many calls there may be in a list.</param>
    /// <exception cref="InputException">See <see cref="ToolCalls"/>.</exception>
    public Constraint OrToolCalls(Constraint answer, IReadOnlyList<Tool> tools, int mostCalls)
    {
        ArgumentNullException.ThrowIfNull(answer);
        ArgumentNullException.ThrowIfNull(tools);
        return Keep($"{KeyOf(tools, mostCalls)} or {answer.Key}", () => Pattern.OneOf(answer.Pattern, Calls(tools, mostCalls)));
    }

    private static string KeyOf(IReadOnlyList<Tool> tools, int mostCalls) =>
        $"tools:{mostCalls}:{System.Text.Json.JsonSerializer.Serialize([.. tools.SelectMany(tool => (string[])[tool.Name, tool.Parameters ?? ""])], ConstraintJson.Default.IReadOnlyListString)}";

    private static Pattern Calls(IReadOnlyList<Tool> tools, int mostCalls)
    {
        var call = new RulePattern("a call") { Body = Pattern.OneOf([.. tools.Select(Call)]) };
        return mostCalls == 1 ? call : Pattern.OneOf(call, JsonPatterns.Array(call, 1, mostCalls));
    }

    private static Pattern Call(Tool tool)
    {
        try
        {
            Pattern arguments = tool.Parameters is null ? JsonPatterns.Braces(Pattern.Empty) : SchemaReader.Read(tool.Parameters);
            return ObjectPattern.Of([("name", JsonPatterns.Literal(tool.Name), true), ("parameters", arguments, true)]);
        }
        catch (InputException error)
        {
            throw new InputException($"the parameters of '{tool.Name}': {error.Message}", error);
        }
    }

    private Constraint Keep(string key, Func<Pattern> read)
    {
        if (Find(key) is { } known) return known;
        var constraint = new Constraint(key, read(), Trie);
        lock (_lock)
        {
            _kept.AddFirst((key, constraint));
            if (_kept.Count > MaxKept) _kept.RemoveLast();
        }

        return constraint;
    }

    private Constraint? Find(string key)
    {
        lock (_lock)
        {
            for (LinkedListNode<(string Key, Constraint Constraint)>? node = _kept.First; node is not null; node = node.Next)
            {
                if (node.Value.Key != key) continue;
                _kept.Remove(node);
                _kept.AddFirst(node);
                return node.Value.Constraint;
            }

            return null;
        }
    }
}
