using System.CommandLine;
using System.Text.Json;
using GemmaCore.Generation;

namespace GemmaCore.Cli;

/// <summary>How to choose tokens, as options. What is not given comes from the model's generation_config.json.</summary>
internal sealed class SamplingOptions
{
    private readonly Option<int?> _maxTokens = new("--max-tokens") { Description = "most tokens of the answer" };
    private readonly Option<float?> _temperature = new("--temperature") { Description = "0 is greedy" };
    private readonly Option<int?> _topK = new("--top-k") { Description = "keep the k most likely tokens; 0 for all" };
    private readonly Option<float?> _topP = new("--top-p") { Description = "keep the smallest set with this probability" };
    private readonly Option<float?> _minP = new("--min-p") { Description = "drop tokens below this share of the most likely" };
    private readonly Option<float?> _repetition = new("--repetition-penalty") { Description = "above 1 discourages repetition" };
    private readonly Option<ulong?> _seed = new("--seed") { Description = "seed of the draws" };
    private readonly Option<string[]> _stop = new("--stop") { Description = "end before this text; may be repeated" };
    private readonly Option<int?> _logprobs = new("--logprobs") { Description = "report log-probabilities of N tokens" };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_maxTokens, _temperature, _topK, _topP, _minP, _repetition, _seed, _stop, _logprobs]) command.Add(option);
    }

    public SamplingParams Read(ParseResult parsed, SamplingParams defaults)
    {
        var parameters = defaults with
        {
            MaxTokens = parsed.GetValue(_maxTokens) ?? defaults.MaxTokens,
            Temperature = parsed.GetValue(_temperature) ?? defaults.Temperature,
            TopK = parsed.GetValue(_topK) ?? defaults.TopK,
            TopP = parsed.GetValue(_topP) ?? defaults.TopP,
            MinP = parsed.GetValue(_minP) ?? defaults.MinP,
            RepetitionPenalty = parsed.GetValue(_repetition) ?? defaults.RepetitionPenalty,
            Seed = parsed.GetValue(_seed) ?? (ulong)Random.Shared.NextInt64(),
            Stop = parsed.GetValue(_stop) ?? [],
            Logprobs = parsed.GetValue(_logprobs) ?? -1,
        };
        try
        {
            parameters.Validate();
            return parameters;
        }
        catch (ArgumentOutOfRangeException error) when (error.ParamName is { } name)
        {
            // The names of options are those of the properties; the rest of the message says what was expected.
            string said = error.Message[..error.Message.IndexOf(" (Parameter", StringComparison.Ordinal)];
            throw new UsageException($"--{JsonNamingPolicy.KebabCaseLower.ConvertName(name)} {said[(name.Length + 1)..]}, got {error.ActualValue}");
        }
    }
}
