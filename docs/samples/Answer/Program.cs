// Answers a question about a picture: dotnet run --project docs/samples/Answer -- MODEL_FOLDER PICTURE "QUESTION"
using GemmaCore.Generation;
using GemmaCore.Inputs;

using GemmaModel model = GemmaModel.Load(args[0]);
var question = new ChatMessage(ChatRole.User, [new ImagePart(ImageSource.FromFile(args[1])), new TextPart(args[2])]);
await foreach (GeneratedToken token in model.GenerateAsync([question], new SamplingParams { MaxTokens = 128 }))
    Console.Write(token.Text);
Console.WriteLine();
