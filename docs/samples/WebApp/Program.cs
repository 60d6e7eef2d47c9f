// An ASP.NET application with a model in it: dotnet run --project docs/samples/WebApp -- --GemmaCore:ModelPath=MODEL_FOLDER --urls http://127.0.0.1:5080
// Its own route reads a picture; OpenAI's API for everybody else is under /ai.
using GemmaCore.Server;
using Microsoft.Extensions.AI;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.Services.Configure<GemmaCoreOptions>(builder.Configuration.GetSection("GemmaCore"));
builder.Services.AddGemmaCore();

WebApplication app = builder.Build();
app.MapGemmaCoreOpenAI("/ai");

// curl --data-binary @chest.png -H "Content-Type: image/png" "http://127.0.0.1:5080/describe?question=What+is+shown%3F"
app.MapPost("/describe", async (HttpRequest request, string question, IChatClient client, CancellationToken cancellation) =>
{
    using var picture = new MemoryStream();
    await request.Body.CopyToAsync(picture, cancellation);
    var message = new ChatMessage(ChatRole.User, [new DataContent(picture.ToArray(), request.ContentType ?? "image/png"), new TextContent(question)]);
    ChatResponse response = await client.GetResponseAsync([message], new ChatOptions { Temperature = 0, MaxOutputTokens = 256 }, cancellation);
    return Results.Ok(new { answer = response.Text, tokens = response.Usage?.TotalTokenCount });
});
app.Run();
