using System.Security.Cryptography;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training;

/// <summary>Turns rows into what the model sees: prompt and answer tokens, which of them are taught, prepared pictures.</summary>
public sealed class ExampleEncoder
{
    private readonly PromptEncoder _prompts;
    private readonly int _maxLength;
    private readonly LossTokens _lossOn;

    /// <summary>An encoder.</summary>
    /// <param name="prompts">Tokenizer, template and picture preparation of the model.</param>
    /// <param name="maxLength">Longest sample in tokens; 0 for no limit. Samples are never cut: images and answers would be damaged.</param>
    /// <param name="lossOn">Which tokens are taught.</param>
    public ExampleEncoder(PromptEncoder prompts, int maxLength, LossTokens lossOn) => (_prompts, _maxLength, _lossOn) = (prompts, maxLength, lossOn);

    /// <summary>Encodes one row.</summary>
    /// <exception cref="DatasetException">The row has no answer, or needs more tokens than allowed.</exception>
    /// <exception cref="InputException">A picture or the conversation cannot be used.</exception>
    public EncodedExample Encode(TrainingExample example)
    {
        ArgumentNullException.ThrowIfNull(example);
        if (example.Answer is not { } answer) throw new DatasetException("there is no answer to train on");
        Prompt prompt = _prompts.Encode(example.Prompt, addGenerationPrompt: true);
        int[] tail = [.. _prompts.EncodeAnswer(answer), .. _lossOn == LossTokens.AssistantTurn ? _prompts.Tokenizer.EncodeContinuation("\n") : []];
        int[] ids = [.. prompt.Ids, .. tail];
        if (_maxLength > 0 && ids.Length > _maxLength)
            throw new DatasetException($"needs {ids.Length} tokens ({prompt.ImageTokenCount} of images), but max_length is {_maxLength}");
        var targets = new bool[ids.Length];
        for (int i = 0; i < ids.Length; i++) targets[i] = i >= prompt.Ids.Length || (_lossOn == LossTokens.AllText && ids[i] != _prompts.ImageTokenId);
        return new EncodedExample(ids, targets, prompt.Images, Keys(example, prompt.Images.Count));
    }

    // A picture's path or the hash of its bytes, and which of its frames. Crops of pan-and-scan are pictures of their own and belong to this row only.
    private static List<string> Keys(TrainingExample example, int imageCount)
    {
        List<string> keys = [.. example.Prompt.SelectMany(message => message.Content).OfType<ImagePart>()
            .Select(part => (part.Image.Path ?? Convert.ToHexString(SHA256.HashData(part.Image.Bytes!.Value.Span))) + part.Image.Choice)];
        return keys.Count == imageCount ? keys : [.. Enumerable.Range(0, imageCount).Select(i => $"{example.Row}#{i}")];
    }
}
