using System.Text.Json;
using GemmaCore.Inputs;

namespace GemmaCore.Server.OpenAi;

/// <summary>The body of a completion request, checked.</summary>
/// <param name="Model">As given, or the base model's name.</param>
/// <param name="Prompts">Texts, or ids, to go on from.</param>
/// <param name="Sampling">How to go on.</param>
/// <param name="Logprobs">Whether log-probabilities are to be reported.</param>
/// <param name="Echo">Give the prompt back in front of the answer.</param>
internal sealed record CompletionRequest(string Model, IReadOnlyList<Func<PromptEncoder, Prompt>> Prompts, SamplingFields Sampling, bool Logprobs, bool Echo)
{
    private const int MostLogprobs = 20;

    // OpenAI's default, which clients of this old route expect.
    private const int UsualTokens = 16;

    private static readonly string[] Names = ["model", "prompt", "logprobs", "echo", "best_of", "suffix", .. SamplingFields.Names, .. SamplingFields.WithoutEffect];

    /// <exception cref="RequestException">The body makes no sense, or asks for what is not supported.</exception>
    public static CompletionRequest Read(RequestField body, ServedModel served)
    {
        body.AllowOnly(Names);
        // Nothing to lead to, and as many answers as are wanted, are what is done anyway.
        if (body["suffix"].TextOrNull() is { Length: > 0 }) throw Unsupported("suffix");
        if (body["best_of"] is { IsNull: false } best && best.Integer(1, int.MaxValue) != body["n"].IntegerOr(1, 1, served.Options.MaxChoices)) throw Unsupported("best_of");
        RequestField logprobs = body["logprobs"];
        bool echo = body["echo"].FlagOr(false);
        if (echo && !logprobs.IsNull) throw RequestException.Invalid("'logprobs' of an echoed prompt are not supported", "echo", "unsupported_value");
        IReadOnlyList<Func<PromptEncoder, Prompt>> prompts = ReadPrompts(body["prompt"].Required(), served, served.Options.MaxChoices);
        SamplingFields sampling = SamplingFields.Read(
            body, served, body["max_tokens"].IntegerOr(UsualTokens, 1, served.MaxLength), logprobs.IsNull ? -1 : logprobs.Integer(0, MostLogprobs));
        if ((long)prompts.Count * sampling.Choices > served.Options.MaxChoices)
            throw RequestException.Invalid($"{prompts.Count} prompts with {sampling.Choices} answers each are more than the {served.Options.MaxChoices} that are allowed", "n", "too_many_choices");
        return new CompletionRequest(body["model"].TextOrNull() ?? served.Name, prompts, sampling, !logprobs.IsNull, echo);
    }

    /// <summary>A text, several texts, ids, or several lists of ids.</summary>
    public static IReadOnlyList<Func<PromptEncoder, Prompt>> ReadPrompts(RequestField field, ServedModel served, int most)
    {
        if (field.Kind == JsonValueKind.String) return [Text(field)];
        IReadOnlyList<RequestField> items = field.Items(served.MaxLength);
        if (items.Count == 0) throw field.Wrong("a text, or a list that is not empty");
        if (items[0].Kind == JsonValueKind.Number) return [Ids(items, served)];
        if (items.Count > most) throw RequestException.Invalid($"At most {most} prompts are allowed in a request", field.Path, "too_many_prompts");
        return [.. items.Select(item => item.Kind == JsonValueKind.String ? Text(item) : Ids(item.Items(served.MaxLength), served))];
    }

    private static RequestException Unsupported(string name) => RequestException.Invalid($"'{name}' is not supported", name, "unsupported_parameter");

    private static Func<PromptEncoder, Prompt> Text(RequestField field)
    {
        string text = field.Text();
        return prompts => prompts.EncodeText(text, []);
    }

    private static Func<PromptEncoder, Prompt> Ids(IReadOnlyList<RequestField> items, ServedModel served)
    {
        int vocabulary = served.Model.Model.Layout.VocabularySize, image = served.Prompts.ImageTokenId;
        int[] ids = [.. items.Select(item => item.Integer(0, vocabulary - 1) is var id && id != image ? id : throw item.Wrong("no image token: it has no image"))];
        return _ => new Prompt(ids, [], []);
    }
}
