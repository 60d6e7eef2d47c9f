using System.Text.Json;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;

namespace GemmaCore.Training.Datasets;

/// <summary>Turns one object of a question file into an example: a <see cref="FlareRecord"/> with its pictures found and its question worded.</summary>
internal sealed class FlareRow(string file, string dataset, Func<string, string?> findImage, PromptSet prompts, int maxImages)
{
    /// <exception cref="DatasetException">The row cannot be used.</exception>
    /// <exception cref="InvalidOperationException">A string is not valid Unicode.</exception>
    public TrainingExample Read(JsonElement row, int index)
    {
        FlareRecord record = Record(row, index);
        if (record.Question.Length == 0 && record.Task != TaskType.ReportGeneration) throw new DatasetException("there is no Question");
        IReadOnlyList<string> names = maxImages > 0 ? [.. record.ImageNames.Take(maxImages)] : record.ImageNames;
        List<ContentPart> parts =
        [
            .. names.Select(name => new ImagePart(ImageSource.FromFile(findImage(name) ?? throw new DatasetException($"image '{name}' not found")))),
            new TextPart(prompts.Text(new PromptQuestion(
                record.Task, record.IsInstanceDetection, record.Modality, record.Question, record.OptionsLine(), names.Count))),
        ];

        List<ChatMessage> messages = prompts.System is { } system ? [ChatMessage.FromText(ChatRole.System, system)] : [];
        messages.Add(new ChatMessage(ChatRole.User, parts));
        return new TrainingExample(record.Dataset, $"{file}: row {index}", messages, record.Answer is { } answer ? FlareRecord.Target(answer) : null, record.Task)
        {
            Uid = record.Uid,
            IsInstanceDetection = record.IsInstanceDetection,
            Modality = record.Modality,
            Fields = Whole(row).EnumerateObject().GroupBy(field => field.Name).ToDictionary(group => group.Key, group => group.First().Value.GetRawText()),
        };
    }

    private FlareRecord Record(JsonElement row, int index)
    {
        try
        {
            return new FlareRecord(row, file, dataset, index);
        }
        catch (FormatException error)
        {
            throw new DatasetException(error.Message);
        }
    }

    // Fields that nobody reads here are written back by predict, so their strings must be sound as well.
    private static JsonElement Whole(JsonElement row)
    {
        using var writer = new Utf8JsonWriter(Stream.Null);
        row.WriteTo(writer);
        return row;
    }
}
