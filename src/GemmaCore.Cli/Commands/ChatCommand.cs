using System.CommandLine;
using GemmaCore.Generation;
using GemmaCore.Inputs;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore chat</c>: a conversation in the terminal.</summary>
internal static class ChatCommand
{
    public static Command Create()
    {
        var command = new Command("chat", """
            Talk to a model. /image FILE adds a picture to your next question, /adapter FOLDER puts an adapter on the model,
            /reset starts anew, /quit ends.

            Examples:
              gemmacore chat demo
              echo "How many cells are in this image?" | gemmacore chat demo --temperature 0
            """);
        var model = new ModelOptions();
        var sampling = new SamplingOptions();
        model.AddTo(command);
        sampling.AddTo(command);
        command.SetAction(parsed =>
        {
            using GemmaModel loaded = model.Load(parsed);
            SamplingParams parameters = sampling.Read(parsed, loaded.DefaultSampling());
            Converse(loaded, parameters);
            return 0;
        });
        return command;
    }

    private static void Converse(GemmaModel model, SamplingParams parameters)
    {
        var messages = new List<ChatMessage>();
        var pending = new List<ContentPart>();
        while (!Edge.Interrupted.IsCancellationRequested)
        {
            if (!Console.IsInputRedirected) Console.Error.Write("> ");
            if (Console.ReadLine() is not { } line || line.Trim() == "/quit") return;
            if (line.Trim().Length == 0) continue;
            try
            {
                if (line.StartsWith('/')) Obey(line, model, messages, pending);
                else Answer(line, model, parameters, messages, pending);
            }
            catch (Exception error) when (error is InputException or Checkpoints.CheckpointException or IOException)
            {
                Console.Error.WriteLine(error.Message); // the conversation goes on
            }
        }
    }

    private static void Obey(string line, GemmaModel model, List<ChatMessage> messages, List<ContentPart> pending)
    {
        string[] words = line.Split(' ', 2, StringSplitOptions.TrimEntries);
        switch (words)
        {
            case ["/image", var file]:
                ImageSource image = ImageSource.FromFile(ShippedFile.Locate(file));
                ImageDecoder.Decode(image); // refused now, not when the question comes
                pending.Add(new ImagePart(image));
                Console.Error.WriteLine($"{file} goes with your next question");
                break;
            case ["/adapter", var folder]:
                ModelOptions.TellApplied(folder, model.LoadAdapter(folder));
                break;
            case ["/reset"]:
                messages.Clear();
                pending.Clear();
                Console.Error.WriteLine("a new conversation");
                break;
            default:
                Console.Error.WriteLine("expected /image FILE, /adapter FOLDER, /reset or /quit");
                break;
        }
    }

    private static void Answer(string line, GemmaModel model, SamplingParams parameters, List<ChatMessage> messages, List<ContentPart> pending)
    {
        var question = new ChatMessage(ChatRole.User, [.. pending, new TextPart(line)]);
        Prompt prompt = model.Prompts.Encode([.. messages, question], addGenerationPrompt: true);
        var printer = new AnswerPrinter();
        GenerationResult result = model.Generate([(prompt, parameters)], (_, token) => printer.Print(token.Text), Edge.Interrupted)[0];
        printer.End();
        messages.Add(question);
        messages.Add(ChatMessage.FromText(ChatRole.Assistant, result.Answer));
        pending.Clear();
    }
}
